import { shallowRef } from 'vue'
import { toFailure, type Failure } from '@/api/errors'

/** One value that is read from the API, now and again; an answer that a later one overtook is dropped. */
export function useLoad<Data>(read: () => Promise<Data>) {
  const data = shallowRef<Data | null>(null)
  const failure = shallowRef<Failure | null>(null)
  const loading = shallowRef(false)
  let latest = 0

  async function load(): Promise<void> {
    const mine = ++latest
    loading.value = true
    try {
      const loaded = await read()
      if (mine !== latest) return
      data.value = loaded
      failure.value = null
    } catch (error) {
      if (mine === latest) failure.value = toFailure(error)
    } finally {
      if (mine === latest) loading.value = false
    }
  }

  return { data, failure, loading, load }
}
