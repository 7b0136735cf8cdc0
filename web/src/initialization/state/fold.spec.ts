import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { StreamEvent } from '@/api/types'
import { aStep, anInitialization, recording, stepEvent } from '@/testing/examples'
import { fold, foldAll, type InitializationState } from './fold'

function started(version = 1, steps = [aStep(), aStep({ step: 'ship', sequence: 2 })]): InitializationState {
  const { state } = fold(null, { type: 'snapshot', data: anInitialization(version, steps) })
  if (!state) throw new Error('A snapshot gives a state')
  return state
}

interface RecordedStream {
  events: StreamEvent[]
  /** indices of events that come too early and are not applied */
  gaps: number[]
  /** by the index of the event after which a client must have it */
  states: Record<string, InitializationState>
}

const STREAMS = join(import.meta.dirname, '../../../../tests/fold')
const streams = readdirSync(STREAMS).filter((name) => name.endsWith('.json'))

/** Not every event tells when the project changed. */
function comparable(state: InitializationState | null) {
  return state && { ...state, project: { ...state.project, updated_at: undefined } }
}

describe('recorded streams', () => {
  test('are found', () => {
    expect(streams.length).toBeGreaterThan(5)
  })

  test.each(streams)('%s folds to what Postgres said', (name) => {
    const stream = JSON.parse(readFileSync(join(STREAMS, name), 'utf8')) as RecordedStream
    const gaps: number[] = []
    const told: Record<string, unknown> = {}
    let state: InitializationState | null = null
    stream.events.forEach((event, index) => {
      const folded = fold(state, event)
      if (folded.gap) gaps.push(index)
      state = folded.state
      if (index in stream.states) told[index] = comparable(state)
    })
    expect(gaps).toEqual(stream.gaps)
    expect(told).toEqual(stream.states)
  })
})

describe('fold', () => {
  test('a snapshot stands for all versions up to its own', () => {
    const { state, gap } = fold(started(1), { type: 'snapshot', data: anInitialization(9) })
    expect(state?.version).toBe(9)
    expect(gap).toBe(false)
  })

  test('changed fields are merged into the step they name', () => {
    const { state } = fold(started(), stepEvent(2, { step: 'build', progress: 40, message: 'Compiling' }, 20))
    expect(state?.steps[0]).toMatchObject({ display_name: 'Build', progress: 40, message: 'Compiling' })
    expect(state?.progress).toBe(20)
  })

  test('a step that nothing happened to keeps its identity', () => {
    const before = started()
    const { state } = fold(before, stepEvent(2, { step: 'build', progress: 40 }))
    expect(state?.steps[1]).toBe(before.steps[1])
    expect(state?.steps[0]).not.toBe(before.steps[0])
  })

  test('an unknown step is put in at its place', () => {
    const part = aStep({ step: 'build.compile', parent_step: 'build', sequence: 1, status: 'running' })
    const { state } = fold(started(), stepEvent(2, part))
    expect(state?.steps.map(({ step }) => step)).toEqual(['build', 'build.compile', 'ship'])
  })

  test('an unknown step of which little is told has what any row has', () => {
    const { state } = fold(started(), stepEvent(2, { step: 'surprise', progress: 3 }))
    expect(state?.steps.at(-1)).toMatchObject({ step: 'surprise', status: 'pending', progress: 3 })
  })

  test('a version already seen changes nothing', () => {
    const before = started(5)
    expect(fold(before, stepEvent(5, { step: 'build', progress: 99 }))).toEqual({ state: before, gap: false })
    expect(fold(before, stepEvent(2, { step: 'build', progress: 99 })).state).toBe(before)
  })

  test('a missing version is a gap, and what comes after it is not applied', () => {
    const before = started(1)
    expect(fold(before, stepEvent(3, { step: 'build', progress: 99 }))).toEqual({ state: before, gap: true })
  })

  test('a snapshot after a gap closes it', () => {
    const events = [stepEvent(3, { step: 'build' }), { type: 'snapshot', data: anInitialization(4) } as const]
    const { state, gap } = foldAll(started(1), events)
    expect(state?.version).toBe(4)
    expect(gap).toBe(false)
  })

  test('failed without a time of completion waits for a person and has not ended', () => {
    const { state } = fold(started(), {
      type: 'project',
      data: { version: 2, progress: 50, project: { status: 'failed', initialization_completed_at: null } },
    })
    expect(state?.ended).toBe(false)
  })

  test('an event of a type that is not known changes nothing but the version', () => {
    const before = started()
    const event = { type: 'estimate', data: { version: 2, seconds: 9 } } as unknown as StreamEvent
    expect(fold(before, event)).toEqual({
      state: { ...before, version: 2, project: { ...before.project, version: 2 } },
      gap: false,
    })
  })

  test('events before any snapshot are a gap', () => {
    expect(fold(null, stepEvent(2, { step: 'build' }))).toEqual({ state: null, gap: true })
  })

  test('a recorded stream gives the same picture however it is cut', () => {
    const events = recording('success')
    const whole = foldAll(null, events)
    const inTwo = foldAll(foldAll(null, events.slice(0, 11)).state, events.slice(5))
    expect(whole.gap).toBe(false)
    expect(inTwo).toEqual(whole)
    expect(whole.state?.ended).toBe(true)
    expect(whole.state?.project.status).toBe('active')
    expect(whole.state?.progress).toBe(100)
  })

  test.each(['failure', 'cancelled', 'skipped', 'waiting-for-next-attempt'])(
    'the recording %s has no gap and its progress never goes down',
    (name) => {
      const events = recording(name)
      expect(foldAll(null, events).gap).toBe(false)
      const progress = events.flatMap(({ data }) => ('progress' in data ? data.progress : []))
      expect(progress).toEqual([...progress].sort((a, b) => a - b))
    },
  )
})
