import { flushPromises, mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { anInitialization } from '@/testing/examples'
import InitializationProgress from './InitializationProgress.vue'

const PROJECT = '0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10'
const ELSEWHERE = 'https://stepway.example.com'

let said: string[]

beforeEach(() => {
  said = []
  vi.useFakeTimers()
  vi.spyOn(console, 'error').mockImplementation((text: string) => void said.push(text))
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

type Answer = (request: Request) => Response | Promise<never>

async function show(props: Record<string, unknown>, answer?: Answer) {
  vi.stubGlobal('fetch', async (input: RequestInfo, init?: RequestInit) => {
    const request = new Request(input, init)
    return answer ? answer(request) : Promise.reject(new TypeError('Failed to fetch'))
  })
  const view = mount(InitializationProgress, { props: { lang: 'en', ...props }, attachTo: document.body })
  await vi.advanceTimersByTimeAsync(1_100)
  await flushPromises()
  return view
}

const problem = (status: number) => Response.json({ title: 'Refused' }, { status })
const blocked = () => Promise.reject(new TypeError('Failed to fetch'))

describe('What is wrong with the configuration', () => {
  test('no project: says which attribute to set, on the page and in the console', async () => {
    const view = await show({})
    expect(view.get('[data-failure=no_project]').text()).toContain('Set project-id')
    expect(said).toEqual([expect.stringContaining('Set project-id')])
    expect(view.emitted('failure')).toEqual([[{ kind: 'no_project', detail: null }]])
    await view.setProps({ projectId: PROJECT })
    expect(view.find('[data-failure=no_project]').exists()).toBe(false)
  })

  test('an id that a script gives a little later is no mistake', async () => {
    vi.stubGlobal('fetch', async () => Response.json(anInitialization(1)))
    const view = mount(InitializationProgress, { props: { lang: 'en', projectId: '' } })
    await vi.advanceTimersByTimeAsync(500)
    await view.setProps({ projectId: PROJECT })
    await vi.advanceTimersByTimeAsync(2_000)
    expect(view.find('[data-failure]').exists()).toBe(false)
    expect(said).toEqual([])
  })

  test('an API that answers, but not to this origin: names the setting and the origin', async () => {
    const view = await show({ projectId: PROJECT, apiUrl: ELSEWHERE }, ({ url }) =>
      url === `${ELSEWHERE}/stepway-progress.js` ? new Response() : blocked(),
    )
    const advice = `Add ${location.origin} to STEPWAY_CORS_ORIGINS`
    expect(view.get('[data-failure=origin_refused]').text()).toContain(advice)
    expect(said[0]).toContain(advice)
    expect(said[0]).toContain(ELSEWHERE)
  })

  test('an API that does not answer to a page opened as a file: says to serve the page', async () => {
    vi.stubGlobal('location', { ...location, origin: 'null', protocol: 'file:' })
    const view = await show({ projectId: PROJECT, apiUrl: ELSEWHERE }, ({ url }) =>
      url === `${ELSEWHERE}/stepway-progress.js` ? new Response() : blocked(),
    )
    const advice = 'Serve this page over HTTP'
    expect(view.get('[data-failure=origin_refused]').text()).toContain(advice)
    expect(said[0]).toContain(advice)
    expect(said[0]).not.toContain('STEPWAY_CORS_ORIGINS')
  })

  test.each([ELSEWHERE, ''])('an API that does not answer at all (%s) is out of reach', async (apiUrl) => {
    const view = await show({ projectId: PROJECT, apiUrl })
    expect(view.find('[data-failure=unreachable]').exists()).toBe(true)
    expect(said).toEqual([])
  })

  test('no sign-in on another origin: says to put the API under this one', async () => {
    const view = await show({ projectId: PROJECT, apiUrl: ELSEWHERE }, () => problem(401))
    expect(view.get('[data-failure=signed_out]').text()).toContain(`Serve the API under ${location.origin}`)
    expect(said[0]).toContain('not signed in')
  })

  test('no sign-in on the own origin: says to sign in, and nothing of origins', async () => {
    const view = await show({ projectId: PROJECT, apiUrl: '' }, () => problem(401))
    expect(view.get('[data-failure=signed_out]').text()).toContain('Sign in to continue')
    expect(view.text()).not.toContain(location.origin)
  })

  test('a project that is not there: the console names its id and the API', async () => {
    const view = await show({ projectId: PROJECT, apiUrl: ELSEWHERE }, () => problem(404))
    expect(view.get('[data-failure=not_found]').text()).toContain('Project not found')
    expect(said).toEqual([expect.stringContaining(`project-id: ${PROJECT}, API: ${ELSEWHERE}`)])
  })
})

describe('The theme', () => {
  test.each([
    [{}, 'auto'],
    [{ theme: 'dark' }, 'dark'],
  ])('%o is %s', async (props, theme) => {
    const view = await show({ ...props, projectId: PROJECT }, () => problem(503))
    expect(view.get('.stepway').attributes('data-theme')).toBe(theme)
  })
})
