import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LOCALES } from '@/text/text'
import { renderTemplate } from './render'
import { SLOTS, slot, toTemplate } from './slots'

const PAGE = readFileSync(join(import.meta.dirname, '../../../index.html'), 'utf8')
const ALL = SLOTS.map(slot).join(' ')

describe('The template of the first paint', () => {
  test.each(LOCALES)('%s: has each slot, one row for each status, and no style that the policy refuses', async (locale) => {
    const template = await renderTemplate(PAGE, locale)
    for (const name of SLOTS) expect(template).toContain(`{{ ${name} }}`)
    expect(template.match(/{% if step\.status == '\w+' %}<li/g)).toHaveLength(5)
    expect(template.match(/{% (for|endfor)/g)).toHaveLength(2)
    expect(template).not.toMatch(/__|style=|<!--/)
  })

  test('speaks the language of the page', async () => {
    expect(await renderTemplate(PAGE, 'zh')).toMatch(/<html lang="zh-Hans">[^]*进行中/)
  })

  test.each(SLOTS)('without %s there is none', (name) => {
    expect(() => toTemplate(ALL.replace(slot(name), ''))).toThrow(`no slot for ${name}`)
  })

  test('a text that Jinja2 would act on is refused', () => {
    expect(() => toTemplate(`${ALL} {{ 7 * 7 }}`)).toThrow('Jinja2')
  })

  test('a page without its place for it is refused', async () => {
    await expect(renderTemplate('<html></html>', 'en')).rejects.toThrow('id="app"')
  })
})
