import { flushPromises, mount, type VueWrapper } from '@vue/test-utils'
import { describe, expect, test, vi } from 'vitest'
import { nextTick } from 'vue'
import { RecordedSource, type RecordedEvent } from './sources/recorded-source'
import type { InitializationSource, SourceObserver } from './sources/source'
import { formatMoment } from '@/text/format'
import { createText } from '@/text/text'
import { anInitialization, aStep, recording, stepEvent, until } from '@/testing/examples'
import InitializationProgress from './InitializationProgress.vue'

async function show(source: InitializationSource, lang = 'en'): Promise<VueWrapper> {
  const view = mount(InitializationProgress, { props: { source, lang }, attachTo: document.body })
  await flushPromises()
  return view
}

async function play(events: RecordedEvent[], lang = 'en'): Promise<VueWrapper> {
  const view = await show(new RecordedSource(events, Infinity), lang)
  const last = String(events.at(-1)?.data.version)
  await until(() => expect(view.get('[data-version]').attributes('data-version')).toBe(last))
  return view
}

/** A source that the test speaks through. */
class Spoken implements InitializationSource {
  observer!: SourceObserver
  readonly refresh = vi.fn()
  open(observer: SourceObserver) {
    this.observer = observer
    return { refresh: this.refresh, close: vi.fn() }
  }
}

const row = (view: VueWrapper, step: string) => view.get(`[data-step="${step}"]`)

describe('InitializationProgress', () => {
  test('a recorded success ends ready, with links to what was made', async () => {
    const view = await play(recording('success'))
    expect(view.get('h2').text()).toBe('payments is ready')
    expect(view.findAll('[data-status=completed]').length).toBeGreaterThanOrEqual(7)
    expect(view.text()).toContain('git clone https://git.example.com/acme/payments.git')
    expect(view.find('a[href="https://deploy.example.com/apps/payments"]').exists()).toBe(true)
  })

  test('the language is another at once, names of steps included', async () => {
    const view = await play(recording('success'))
    await view.setProps({ lang: 'zh' })
    expect(view.get('h2').text()).toBe('payments 已就绪')
    expect(row(view, 'template').text()).toContain('推送模板')
  })

  test('a failed step shows its error and remedy open, its stack folded', async () => {
    const view = await play(recording('failure'))
    const failed = row(view, 'deployment')
    expect(view.get('h2').text()).toBe('payments needs your attention')
    expect(failed.text()).toContain('Namespace "payments" belongs to another project.')
    expect(failed.text()).toContain('Choose another namespace')
    expect(failed.text()).toContain('Attempt 2')
    expect(failed.text()).not.toContain('Traceback')
    await failed.get('[aria-label="Error message"] button[data-state=closed]').trigger('click')
    expect(failed.text()).toContain('Traceback')
  })

  test('a failed attempt tells when the next one is', async () => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse('2026-03-02T09:00:05Z'))
    const view = await play(recording('waiting-for-next-attempt'))
    expect(row(view, 'deployment').text()).toMatch(/Next attempt in \d s/)
    expect(row(view, 'deployment').text()).toContain('The last attempt failed: The deployment service')
  })

  test.each([
    ['en', 'Waits until', '(1 h left)'],
    ['zh', '等待至', '（还需 1 小时）'],
  ] as const)('%s: a step that another system asks to wait tells why, and until when in local time', async (lang, before, left) => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse('2026-03-02T09:00:00Z'))
    const at = '2026-03-02T10:00:00Z'
    const metadata = { next_attempt_at: at, last_error: 'The limit is used up.', asked_to_wait: true }
    const waiting = aStep({ status: 'running', metadata })
    const view = await play([{ at: 0, type: 'snapshot', data: anInitialization(1, [waiting]) }], lang)
    const shown = row(view, 'build').text()
    expect(shown).toContain(`${before} ${formatMoment(Date.parse(at), Date.now(), lang)}`)
    expect(shown).toContain(left)
    expect(shown).toContain('The limit is used up.')
    expect(shown).not.toContain(createText(lang).t('step.lastError', { error: '' }))
  })

  test('a rollback that another system asks to wait tells why, and until when', async () => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse('2026-03-02T09:00:00Z'))
    const at = '2026-03-02T10:00:00Z'
    const undo = { status: 'running', next_attempt_at: at, asked_to_wait: true, error: 'The limit is used up.' } as const
    const step = aStep({ status: 'completed', metadata: { undo } })
    const view = await play([{ at: 0, type: 'snapshot', data: anInitialization(1, [step]) }])
    const shown = row(view, 'build').text()
    expect(shown).toContain('Rolling back')
    expect(shown).toContain(`Waits until ${formatMoment(Date.parse(at), Date.now(), 'en')} (1 h left)`)
    expect(shown).toContain('The limit is used up.')
  })

  test.each([
    ['en', 'pending', { queue: 'east' }, 'Waiting for a worker of the queue “east”: none has asked for work for 2 min'],
    ['zh', 'pending', { queue: 'east' }, '正在等待队列“east”的工作进程'],
    ['en', 'running', {}, 'Waiting for a worker: none has asked for work for 2 min'],
  ] as const)('%s: a %s step that no worker takes says so', async (lang, status, queue, text) => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse('2026-03-02T09:02:00Z'))
    const metadata = { waiting_for_worker: { ...queue, since: '2026-03-02T09:00:00Z' } }
    const waiting = aStep({ status, metadata })
    const view = await play([{ at: 0, type: 'snapshot', data: anInitialization(1, [waiting]) }], lang)
    expect(row(view, 'build').text()).toContain(text)
    expect(row(view, 'build').find('.lucide-loader-circle').exists()).toBe(false)
  })

  test('steps that ran at the same time are marked as such', async () => {
    const view = await play(recording('success'))
    expect(row(view, 'template').text()).toContain('In parallel')
    expect(row(view, 'connect').text()).not.toContain('In parallel')
  })

  test('a skipped step says why', async () => {
    const view = await play(recording('skipped'))
    expect(row(view, 'deployment').text()).toContain('We deploy by hand')
  })

  test('an undo shows what was taken back and what could not be', async () => {
    const view = await play(recording('cancelled'))
    expect(row(view, 'repository').text()).toContain('Rolled back')
    expect(row(view, 'connect').text()).toContain('The token was changed by somebody else.')
    expect(view.text()).toContain('Could not be rolled back: Connect to the forge')
  })

  test.each([
    ['en', 'initializing', 'Cancelling payments'],
    ['zh', 'failed', '正在取消 payments'],
  ] as const)('%s: a cancel under way is the headline while the status is %s', async (lang, status, headline) => {
    const project = { status, cancel_requested_at: '2026-03-02T09:01:00+00:00' }
    const failed = aStep({ status: 'failed', error: 'No space.' })
    const view = await play([{ at: 0, type: 'snapshot', data: anInitialization(1, [failed], project) }], lang)
    expect(view.get('h2').text()).toBe(headline)
    expect(view.text()).not.toContain(createText(lang).t('notice.waiting', { count: 1 }))
  })

  test('parts of a running step are shown below it', async () => {
    const events = recording('success')
    const rendering = events.findIndex(({ data }) => 'step' in data && data.step.step === 'template.render')
    const view = await play(events.slice(0, rendering + 1))
    expect(row(view, 'template.render').text()).toContain('Render files')
  })

  test('markup in names, messages and errors is text', async () => {
    const markup = '<img src=x onerror="document.title=1">'
    const failed = aStep({ display_name: markup, status: 'failed', error: markup, error_stack: markup, message: markup })
    const view = await play([{ at: 0, type: 'snapshot', data: anInitialization(1, [failed], { name: markup }) }])
    expect(view.find('img').exists()).toBe(false)
    expect(view.text()).toContain(markup)
  })

  test('an error of 100 kB is cut until it is asked for', async () => {
    const failed = aStep({ status: 'failed', error: 'x'.repeat(100_000) })
    const view = await play([{ at: 0, type: 'snapshot', data: anInitialization(1, [failed]) }])
    expect(view.text().length).toBeLessThan(5_000)
    const all = view.findAll('button').find((button) => button.text().startsWith('Show all'))
    await all?.trigger('click')
    expect(view.text().length).toBeGreaterThan(100_000)
  })

  test('bars are progress bars with a value', async () => {
    const view = await play([{ at: 0, type: 'snapshot', data: anInitialization(1, [aStep({ status: 'running', progress: 42 })]) }])
    const bar = view.get('[role=progressbar][aria-label="Progress of Build"]')
    expect(bar.attributes()).toMatchObject({ 'aria-valuenow': '42', 'aria-valuemin': '0', 'aria-valuemax': '100' })
  })

  test('the live region speaks of changes of status only', async () => {
    const source = new Spoken()
    const view = await show(source)
    source.observer.event({ type: 'snapshot', data: anInitialization(1, [aStep({ status: 'running' })]) })
    source.observer.event(stepEvent(2, { step: 'build', progress: 50 }))
    const spoken = () => view.get('[role=status][aria-live=polite]').text()
    await until(() => expect(view.find('[role=progressbar][aria-valuenow="50"]').exists()).toBe(true))
    expect(spoken()).toBe('')
    source.observer.event(stepEvent(3, { step: 'build', status: 'completed', progress: 100 }))
    await until(() => expect(spoken()).toBe('Build: Completed'))
  })

  test('a gap asks the source again', async () => {
    const source = new Spoken()
    await show(source)
    source.observer.event({ type: 'snapshot', data: anInitialization(1) })
    source.observer.event(stepEvent(5, { step: 'build' }))
    await until(() => expect(source.refresh).toHaveBeenCalledOnce())
  })

  test.each([
    ['not_found', 'Project not found'],
    ['forbidden', "You don't have access"],
    ['unreachable', 'Cannot reach Stepway'],
    ['unavailable', 'Stepway is busy'],
  ] as const)('without a picture, %s has a state of its own', async (kind, title) => {
    const source = new Spoken()
    const view = await show(source)
    expect(view.get('[role=status]').attributes('aria-label')).toBe('Loading setup progress')
    source.observer.failure({ kind, detail: null })
    await nextTick()
    expect(view.get(`[data-failure=${kind}]`).text()).toContain(title)
  })

  test('what was deleted while it was watched keeps its last picture', async () => {
    const source = new Spoken()
    const view = await show(source)
    source.observer.event({ type: 'snapshot', data: anInitialization(1) })
    source.observer.failure({ kind: 'deleted', detail: null })
    await nextTick()
    expect(view.text()).toContain('This project was deleted')
    expect(row(view, 'build').text()).toContain('Build')
  })

  test('a lost connection is told calmly beside the last picture', async () => {
    const source = new Spoken()
    const view = await show(source)
    source.observer.event({ type: 'snapshot', data: anInitialization(1) })
    source.observer.connection({ state: 'reconnecting' })
    source.observer.failure({ kind: 'unreachable', detail: null })
    await nextTick()
    expect(view.get('[data-connection=reconnecting]').text()).toContain('Reconnecting')
    expect(view.find('[data-failure]').exists()).toBe(false)
    await view.get('[data-connection] button').trigger('click')
    expect(source.refresh).toHaveBeenCalledOnce()
  })
})
