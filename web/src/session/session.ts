import { computed, inject, shallowRef, type InjectionKey } from 'vue'
import type { StepwayApi } from '@/api/client'
import type { Session } from '@/api/types'

const SIGNED_OUT: Session = { required: true, signed_in: false, groups: [], scopes: [] }

/** Who is signed in on this page. Where nobody has to sign in it stays out of the way. */
export function createSession(api: StepwayApi) {
  const found = shallowRef<Session | null>(null)

  return {
    /** whether nothing can be shown before somebody signs in */
    needed: computed(() => found.value?.required === true && !found.value.signed_in),
    name: computed(() => (found.value?.required && found.value.signed_in ? (found.value.name ?? null) : null)),

    async load(): Promise<void> {
      // Without an answer the page goes on: what it asks for next says what is wrong.
      found.value = await api.session().catch(() => found.value)
    },
    async signIn(token: string): Promise<void> {
      found.value = await api.signIn(token)
    },
    async signOut(): Promise<void> {
      await api.signOut()
      found.value = SIGNED_OUT
    },
    /** The API has refused somebody who was signed in, or was never asked to. */
    end(): void {
      found.value = SIGNED_OUT
    },
  }
}

export type PageSession = ReturnType<typeof createSession>

export const SESSION: InjectionKey<PageSession> = Symbol('stepway session')

export function useSession(): PageSession {
  const session = inject(SESSION)
  if (!session) throw new Error('The page provides a session')
  return session
}
