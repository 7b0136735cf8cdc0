import { expect, test } from 'vitest'
import { localTime, relativeTime } from './clock'
import { formatLink, parseLink } from './link'

const LINK = { step: 'build', round: 2, attempt: 3, rollback: false, from: 10, to: 20 }

test.each([
  ['#log=build:2.3:L10-L20', LINK],
  ['#log=build:2.3:L20-L10', LINK],
  ['#log=build:3:L10', { ...LINK, round: null, to: 10 }],
  ['#log=build:2.3', { ...LINK, from: null, to: null }],
  ['#log=build', { ...LINK, round: null, attempt: null, from: null, to: null }],
  ['#log=build:rollback:L10-20', { ...LINK, round: null, attempt: null, rollback: true }],
  ['#log=a%2Fb:1', { ...LINK, step: 'a/b', round: null, attempt: 1, from: null, to: null }],
])('%s is understood', (hash, link) => {
  expect(parseLink(hash)).toEqual(link)
})

test.each(['', '#', '#log=', '#log=a:b', '#log=a:1:10', '#other=1'])('%j is no link', (hash) => {
  expect(parseLink(hash)).toBeNull()
})

test.each(['#log=build:2.3:L10-L20', '#log=build:2.3:L10', '#log=build:rollback:L7', '#log=a%3Ab:1', '#log=build'])(
  '%s is written as it was read',
  (hash) => {
    const link = parseLink(hash)
    expect(link && formatLink(link)).toBe(hash)
  },
)

test('times', () => {
  expect(localTime(new Date(2026, 10, 26, 4, 5, 6, 7).getTime())).toBe('04:05:06.007')
  expect(relativeTime(67_042, 0)).toBe('+1:07.042')
  expect(relativeTime(3_727_042, 0)).toBe('+1:02:07.042')
  expect(relativeTime(0, 250)).toBe('-0:00.250')
})
