import { createApp } from 'vue'
import App from './App.vue'
import { createApi } from './api/client'
import { API } from './api/use-api'
import { router } from './router'
import { SESSION, createSession } from './state/session'
import './styles/page.css'
import { startText } from './text/chosen'
import { TEXT } from './text/text'

const api = createApi('', () => session.end())
const session = createSession(api)
void session.load()

createApp(App).provide(API, api).provide(SESSION, session).provide(TEXT, startText()).use(router).mount('#app')
