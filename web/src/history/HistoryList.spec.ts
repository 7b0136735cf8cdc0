import { mount } from '@vue/test-utils'
import { describe, expect, test } from 'vitest'
import type { HistoryEvent } from '@/api/types'
import { aStep } from '@/testing/examples'
import { TEXT, createText, type Locale } from '@/text/text'
import HistoryList from './HistoryList.vue'

const STEPS = [aStep({ metadata: { display_names: { en: 'Build', zh: '构建' } } })]

function linesIn(locale: Locale, ...events: Partial<HistoryEvent>[]): string[] {
  const base = { version: 1, type: 'step', action: 'started', step: null, actor: null, payload: {}, at: '2025-03-01T10:00:00Z' }
  const view = mount(HistoryList, {
    props: { events: events.map((event, version) => ({ ...base, version, ...event }) as HistoryEvent), steps: STEPS },
    global: { provide: { [TEXT as symbol]: createText(locale) } },
  })
  return view.findAll('li p').map((line) => line.text())
}

describe('HistoryList', () => {
  test('says who did what', () => {
    const events = [
      { action: 'planned', actor: 'ada' },
      { action: 'retried', step: 'build', actor: 'ada' },
      { action: 'ended', actor: 'ada' },
    ]
    expect(linesIn('en', ...events)).toEqual(['Created by ada', 'ada retried Build', 'Setup ended by ada'])
    expect(linesIn('zh', ...events)).toEqual(['ada 创建了项目', 'ada 重试了“构建”', '初始化已结束 操作者：ada'])
  })

  test('names every action in words', () => {
    const events = [{ action: 'interrupted', step: 'build' }, { action: 'timed_out' }, { action: 'reconciled' }]
    expect(linesIn('en', ...events)).toEqual([
      'Build was interrupted',
      'Setup reached its time limit',
      'Setup ended: its workflow stopped in Temporal',
    ])
    expect(linesIn('zh', ...events.slice(0, 1))).toEqual(['“构建”被中断'])
  })

  test('says that a step waits for another system', () => {
    const payload = { step: { error: 'The limit is used up.', metadata: { asked_to_wait: true } } }
    const event = { action: 'attempt_failed', step: 'build', payload }
    expect(linesIn('en', event)).toEqual(['Build has to wait', 'The limit is used up.'])
    expect(linesIn('zh', event)[0]).toBe('“构建”需要等待')
  })

  test('says that a rollback waits for another system', () => {
    const undo = { status: 'running', asked_to_wait: true, error: 'The limit is used up.' }
    const event = { action: 'undo_attempt_failed', step: 'build', payload: { step: { metadata: { undo } } } }
    expect(linesIn('en', event)).toEqual(['The rollback of Build has to wait', 'The limit is used up.'])
  })

  test('says when a step begins and when it ceases to wait for a worker', () => {
    const waiting = { step: { metadata: { waiting_for_worker: { since: '2026-03-02T09:00:00Z' } } } }
    const events = [waiting, { step: { metadata: {} } }].map((payload) => ({
      action: 'awaiting_worker',
      step: 'build',
      payload,
    }))
    expect(linesIn('en', ...events)).toEqual(['Build waits for a worker', 'Build no longer waits for a worker'])
  })

  test('says which parameters a retry changed', () => {
    const parameters = {
      region: { from: 'us', to: 'eu' },
      size: { from: null, to: 3 },
      token: { from: '[redacted]', to: '[redacted]' },
    }
    const payload = { step: { metadata: { retry: { actor: 'ada', parameters } } } }
    const events = ['retried', 'started'].map((action) => ({ action, step: 'build', payload }))
    expect(linesIn('en', ...events)).toEqual([
      'Build was retried',
      'region: us → eu, size: None → 3, and token: [redacted] → [redacted]',
      'Build started',
    ])
    expect(linesIn('zh', ...events)[1]).toBe('region：us → eu、size：无 → 3和token：[redacted] → [redacted]')
  })

  test('says why a rollback failed', () => {
    const undo = { status: 'failed', error: 'somebody pushed to it' }
    const payload = { step: { error: null, metadata: { undo } } }
    expect(linesIn('en', { action: 'undo_failed', step: 'build', payload })).toEqual([
      'Build could not be rolled back',
      'somebody pushed to it',
    ])
  })

  test('shows an action of a newer server as it is', () => {
    expect(linesIn('en', { action: 'approved', step: 'build' })).toEqual(['Build: approved'])
  })
})
