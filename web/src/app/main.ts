import { createApp } from 'vue'
import App from './App.vue'
import { createApi } from '@/api/client'
import { API } from '@/api/use-api'
import { createPageRouter } from './router'
import { SESSION, createSession } from '@/session/session'
import '@/styles/page.css'
import { startText } from '@/text/chosen'
import { TEXT } from '@/text/text'

const api = createApi('', () => session.end())
const session = createSession(api)
const router = createPageRouter(api)
const app = createApp(App).provide(API, api).provide(SESSION, session).provide(TEXT, startText()).use(router)

void router.isReady().finally(() => {
  app.mount('#app')
  void session.load()
})
