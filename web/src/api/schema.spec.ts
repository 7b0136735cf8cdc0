import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import openapiTS, { COMMENT_HEADER, astToString, type OpenAPI3 } from 'openapi-typescript'
import { expect, test } from 'vitest'

const read = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8')

test('the types of the API are those of openapi.json; else run scripts/generate', async () => {
  const types = await openapiTS(JSON.parse(read('../../openapi.json')) as OpenAPI3)
  expect(read('schema.d.ts')).toBe(COMMENT_HEADER + astToString(types))
})
