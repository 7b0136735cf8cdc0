import { createSSRApp } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { renderToString } from 'vue/server-renderer'
import { createApi } from '@/api/client'
import { API } from '@/api/use-api'
import { SESSION, createSession } from '@/session/session'
import { TEXT, createText, toDocumentLanguage, type Locale } from '@/text/text'
import App from '../App.vue'
import FirstPaint from './FirstPaint.vue'
import { slot, toTemplate } from './slots'

const NOWHERE = { render: () => null }
const EMPTY = '<div id="app"></div>'

/** The built page as a template, with an initialization in it. */
export async function renderTemplate(page: string, locale: Locale): Promise<string> {
  if (!page.includes(EMPTY)) throw new Error(`The page has no ${EMPTY}`)
  const painted = page
    .replace('<html lang="en">', `<html lang="${toDocumentLanguage(locale)}">`)
    .replace('<title>', `<title>${slot('project_name')} · `)
    .replace(EMPTY, `<div id="app">${await renderApp(locale)}</div>`)
  return toTemplate(painted)
}

async function renderApp(locale: Locale): Promise<string> {
  const api = createApi()
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/projects/:id', name: 'initialization', component: FirstPaint },
      { path: '/projects/:id/history', name: 'history', component: NOWHERE },
      { path: '/:path(.*)*', component: NOWHERE },
    ],
  })
  await router.push(`/projects/${slot('project_id')}`)
  const app = createSSRApp(App)
  app.provide(API, api).provide(SESSION, createSession(api)).provide(TEXT, createText(locale)).use(router)
  return renderToString(app)
}
