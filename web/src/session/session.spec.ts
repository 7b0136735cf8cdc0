import { describe, expect, test, vi } from 'vitest'
import { createApi } from '@/api/client'
import { ApiError } from '@/api/errors'
import type { Session } from '@/api/types'
import { createSession } from './session'

const ADA: Session = { required: true, signed_in: true, name: 'ada', groups: [], scopes: ['read'] }

function aSession(answers: Partial<ReturnType<typeof createApi>>) {
  return createSession({ ...createApi(), ...answers })
}

describe('session', () => {
  test('stays out of the way where nobody has to sign in', async () => {
    const session = aSession({ session: async () => ({ ...ADA, required: false, name: 'local' }) })
    await session.load()
    expect(session.needed.value).toBe(false)
    expect(session.name.value).toBeNull()
  })

  test('is needed until a token is given, and again after signing out', async () => {
    const session = aSession({
      session: async () => ({ ...ADA, signed_in: false }),
      signIn: async () => ADA,
      signOut: async () => undefined,
    })
    await session.load()
    expect(session.needed.value).toBe(true)
    await session.signIn('token')
    expect([session.needed.value, session.name.value]).toEqual([false, 'ada'])
    await session.signOut()
    expect(session.needed.value).toBe(true)
  })

  test('is needed as soon as any call is refused with 401', async () => {
    vi.stubGlobal('fetch', async () => Response.json({ title: 'Unauthorized' }, { status: 401 }))
    const signedOut = vi.fn()
    await expect(createApi('http://api', signedOut).blueprints()).rejects.toBeInstanceOf(ApiError)
    expect(signedOut).toHaveBeenCalledOnce()
    vi.unstubAllGlobals()
  })

  test('that cannot be asked for keeps nobody out', async () => {
    const session = aSession({ session: () => Promise.reject(new ApiError(0)) })
    await session.load()
    expect(session.needed.value).toBe(false)
  })
})
