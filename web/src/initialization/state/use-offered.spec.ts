import { flushPromises } from '@vue/test-utils'
import { describe, expect, test, vi } from 'vitest'
import { effectScope, nextTick, shallowRef } from 'vue'
import type { Offered } from '@/api/types'
import type { Connection } from '@/initialization/sources/source'
import { anInitialization, aStep } from '@/testing/examples'
import { fold, type InitializationState } from './fold'
import { useOffered } from './use-offered'

const CANCEL: Offered = { project: ['cancel'], steps: {} }
const NOTHING: Offered = { project: [], steps: {} }

describe('The controls that the API offers', () => {
  test('are read again when a cancel is requested, not when a step makes progress', async () => {
    const running = aStep({ status: 'running' })
    const before = fold(null, { type: 'snapshot', data: anInitialization(1, [running]) }).state
    if (before === null) throw new Error('a snapshot gives a state')
    const state = shallowRef<InitializationState | null>(before)
    const connection = shallowRef<Connection>({ state: 'live' })
    const read = vi.fn(async () => NOTHING).mockResolvedValueOnce(CANCEL)
    const scope = effectScope()
    const offered = scope.run(() => useOffered(read, state, connection))
    await flushPromises()
    expect(offered?.value).toEqual(CANCEL)

    const step = { step: 'build', progress: 50 }
    state.value = fold(before, { type: 'step', data: { version: 2, progress: 50, step } }).state
    await nextTick()
    expect(read).toHaveBeenCalledOnce()

    const project = { cancel_requested_at: '2026-03-02T09:01:00+00:00' }
    state.value = fold(state.value, { type: 'project', data: { version: 3, progress: 50, project } }).state
    await flushPromises()
    expect(offered?.value).toEqual(NOTHING)
    scope.stop()
  })
})
