import { createApp } from 'vue'
import App from './App.vue'
import { createApi } from './api/client'
import { API } from './api/use-api'
import { router } from './router'
import './styles/page.css'
import { startText } from './text/chosen'
import { TEXT } from './text/text'

createApp(App).provide(API, createApi()).provide(TEXT, startText()).use(router).mount('#app')
