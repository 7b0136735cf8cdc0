import { describe, expect, test } from 'vitest'
import type { JsonSchema } from '@/api/types'
import { fieldsOf, parse, textOf, toRaw, type Field } from './schema'
import { useIdempotencyKey } from '@/create/use-idempotency-key'
import { fieldOf } from './use-schema-form'

function field(schema: JsonSchema, required = false): Field {
  const [found] = fieldsOf({ properties: { it: schema }, required: required ? ['it'] : [] })
  if (!found) throw new Error('A property is a field')
  return found
}

const environments = field({
  type: 'array',
  items: {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string', pattern: '^[a-z]+$' }, approvals: { type: 'integer', default: 0 } },
  },
  default: [{ name: 'dev', approvals: 1 }],
})

describe('controls', () => {
  test.each<[JsonSchema, string]>([
    [{ type: 'string' }, 'text'],
    [{ type: ['string', 'null'] }, 'text'],
    [{ type: 'integer' }, 'integer'],
    [{ type: 'number' }, 'number'],
    [{ type: 'boolean' }, 'boolean'],
    [{ enum: ['a', 'b'] }, 'choice'],
    [{ type: 'array', items: { type: 'string' } }, 'list'],
    [{ type: 'array', items: { enum: ['a', 'b'] } }, 'choices'],
    [{ type: 'object' }, 'json'],
    [{ type: 'array', items: { type: 'object', properties: { deep: { type: 'object' } } } }, 'json'],
    [{}, 'json'],
  ])('%j is a %s', (schema, kind) => {
    expect(field(schema).kind).toBe(kind)
  })

  test('objects of plain values are rows', () => {
    expect(environments.kind).toBe('rows')
    expect(toRaw(environments)).toEqual([{ name: 'dev', approvals: '1' }])
  })

  test('what is shown and left alone is sent as it was', () => {
    for (const value of [8080, 1.5]) expect(parse(field({ type: 'number' }), toRaw(field({ type: 'number' }), value))).toEqual({ value })
    expect(parse(environments, toRaw(environments))).toEqual({ value: [{ name: 'dev', approvals: 1 }] })
    const choice = field({ enum: [1, 'one'], default: 1 })
    expect(parse(choice, toRaw(choice))).toEqual({ value: 1 })
  })
})

describe('values', () => {
  test('what is empty is left out, and missed where it is required', () => {
    expect(parse(field({ type: 'string' }), '')).toEqual({ value: undefined })
    expect(parse(field({ type: 'string' }, true), '')).toEqual({ error: { key: 'form.required' } })
  })

  test.each<[JsonSchema, string, string]>([
    [{ type: 'integer' }, '1.5', 'form.badInteger'],
    [{ type: 'number' }, 'many', 'form.badNumber'],
    [{ type: 'integer', maximum: 9 }, '10', 'form.tooLarge'],
    [{ type: 'integer', minimum: 9 }, '8', 'form.tooSmall'],
    [{ type: 'string', minLength: 3 }, 'ab', 'form.tooShort'],
    [{ type: 'string', maxLength: 1 }, 'ab', 'form.tooLong'],
    [{ type: 'string', pattern: '^a$' }, 'b', 'form.pattern'],
    [{ type: 'object' }, '{', 'form.badJson'],
  ])('%j refuses %s: %s', (schema, raw, key) => {
    expect(parse(field(schema), raw)).toMatchObject({ error: { key } })
  })

  test.each<[JsonSchema, unknown, unknown]>([
    [{ type: 'string', default: 'standard' }, 'standard', ''],
    [{ type: ['string', 'null'], default: 'standard' }, 'standard', null],
    [{ type: ['integer', 'null'] }, 5, null],
    [{ type: 'string' }, 'of before', ''],
    [{ type: 'array', items: { type: 'string' } }, ['of before'], []],
    [{ type: 'array', items: { enum: [1, 2] } }, [1], []],
  ])('a cleared %j does not get %j back', (schema, before, value) => {
    const it = field(schema)
    expect(parse(it, Array.isArray(value) ? [] : '', before)).toEqual({ value })
    expect(parse(it, toRaw(it, before), before)).toEqual({ value: before })
  })

  test.each<[JsonSchema, string]>([
    [{ type: 'integer', default: 5 }, 'form.cannotBeEmpty'],
    [{ enum: ['a'], default: 'a' }, 'form.cannotBeEmpty'],
    [{ type: 'object', default: {} }, 'form.cannotBeEmpty'],
    [{ type: 'string', default: 'abc', minLength: 3 }, 'form.tooShort'],
    [{ type: 'string', default: 'abc', pattern: '^a' }, 'form.pattern'],
  ])('a %j that cannot be without a value says so when it is cleared', (schema, key) => {
    expect(parse(field(schema), '')).toMatchObject({ error: { key } })
  })

  test.each<[JsonSchema, string, string]>([
    [{ type: 'integer' }, '9007199254740993', 'form.tooPrecise'],
    [{ type: 'number' }, '-9007199254740993', 'form.tooPrecise'],
    [{ type: 'object' }, '{"id": [9007199254740993]}', 'form.tooPrecise'],
    [{ type: 'integer' }, '0x10', 'form.badNumber'],
    [{ type: 'number' }, '1e400', 'form.badNumber'],
    [{ type: 'number' }, 'Infinity', 'form.badNumber'],
  ])('%j does not send %s as another number', (schema, raw, key) => {
    expect(parse(field(schema), raw)).toEqual({ error: { key } })
  })

  test('numbers that JavaScript holds are sent', () => {
    expect(parse(field({ type: 'integer' }), '9007199254740991')).toEqual({ value: 9007199254740991 })
    expect(parse(field({ type: 'number' }), '-1.5e3')).toEqual({ value: -1500 })
    const json = '{"a 9007199254740993": 0.1234567890123456789, "b": 3}'
    expect(parse(field({ type: 'object' }), json)).toEqual({ value: JSON.parse(json) as unknown })
  })

  test('a number that was rounded on its way here and is left alone is not sent', () => {
    expect(parse(field({ type: 'integer' }), '9007199254740992', 9007199254740992)).toEqual({ value: undefined })
  })

  test('choices keep their types', () => {
    const sizes = field({ type: 'array', items: { enum: [1, '1', true] } })
    expect(parse(sizes, toRaw(sizes, [1, '1', true]))).toEqual({ value: [1, '1', true] })
  })

  test('text is JSON for all but strings', () => {
    expect(['a', false, [1], { a: 1 }, null, undefined].map(textOf)).toEqual(['a', 'false', '[1]', '{"a":1}', '', ''])
  })

  test('a pattern that only the server understands is left to it', () => {
    expect(parse(field({ type: 'string', pattern: '(?P<a>x)' }), 'y')).toEqual({ value: 'y' })
  })

  test('a wrong cell is named by its row', () => {
    expect(parse(environments, [{ name: 'dev', approvals: '0' }, { name: 'B?', approvals: '0' }])).toEqual({
      error: { key: 'form.pattern', row: 1, cell: 'name' },
    })
  })
})

describe('errors of the API', () => {
  test('find their field by pointer, else by name', () => {
    expect(fieldOf('/parameters/environments/0/name')).toBe('environments')
    expect(fieldOf('/name')).toBe('name')
    expect(fieldOf(undefined, 'parameters.port')).toBe('port')
    expect(fieldOf(undefined, 'port')).toBe('port')
  })
})

describe('the idempotency key', () => {
  test('stays for the same request and changes with it', () => {
    const keyFor = useIdempotencyKey()
    const first = keyFor({ name: 'a' })
    expect(keyFor({ name: 'a' })).toBe(first)
    expect(keyFor({ name: 'b' })).not.toBe(first)
  })
})
