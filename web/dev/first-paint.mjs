/** Makes dist/first-paint/LANGUAGE.html from the built page: templates that the server fills with a project's steps. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'vite'

const dist = new URL('../dist/', import.meta.url)
const page = readFileSync(new URL('index.html', dist), 'utf8')
const vite = await createServer({ appType: 'custom', logLevel: 'warn', server: { middlewareMode: true, hmr: false, ws: false } })
try {
  const { renderTemplate } = await vite.ssrLoadModule('/src/app/first-paint/render.ts')
  const { LOCALES } = await vite.ssrLoadModule('/src/text/text.ts')
  mkdirSync(new URL('first-paint/', dist), { recursive: true })
  for (const locale of LOCALES) {
    writeFileSync(new URL(`first-paint/${locale}.html`, dist), await renderTemplate(page, locale))
  }
} finally {
  await vite.close()
}
