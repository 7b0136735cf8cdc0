import { mount } from '@vue/test-utils'
import { afterEach, expect, test } from 'vitest'
import { defineComponent, h } from 'vue'
import { provideLogLinks, useLogLinks, type LogLinks } from './logs'

afterEach(() => history.replaceState(null, '', '/'))

function linksAt(hash: string): LogLinks {
  history.replaceState(null, '', `/projects/1?view=all${hash}`)
  let found: LogLinks | null = null
  const Inner = defineComponent(() => {
    found = useLogLinks()
    return () => null
  })
  mount(
    defineComponent(() => {
      provideLogLinks()
      return () => h(Inner)
    }),
  )
  return found as unknown as LogLinks
}

test('the log that was opened last is in the address until it is closed', () => {
  const links = linksAt('')
  links.opened('build')
  expect(location.hash).toBe('#log=build')
  links.opened('push image')
  expect(location.hash).toBe('#log=push%20image')
  links.closed('build')
  expect(location.hash).toBe('#log=push%20image')
  links.closed('push image')
  expect(location.href).toMatch(/\/projects\/1\?view=all$/)
})

test('an address that names lines stays when their log opens', () => {
  const links = linksAt('#log=build:2.1:L5-L9')
  expect(links.step.value).toBe('build')
  links.opened('build')
  expect(location.hash).toBe('#log=build:2.1:L5-L9')
})

test('an address that cannot be decoded names no step, and breaks nothing', () => {
  expect(linksAt('#log=%E0').step.value).toBe('%E0')
  expect(linksAt('#other').step.value).toBe(null)
})
