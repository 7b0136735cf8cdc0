import { expect, test } from 'vitest'
import { forShadowRoot } from './shadow'

test('first values of variables become declarations, which a shadow root knows', () => {
  const css = '.a{color:red}@property --tw-x{syntax:"*";inherits:false;initial-value:solid}@property --tw-y{syntax:"*";inherits:false}'
  expect(forShadowRoot(css)).toBe('@layer properties{*,::before,::after{--tw-x:solid}}.a{color:red}')
})
