import { shallowRef } from 'vue'
import { ApiError } from '@/api/errors'

/** Something that is done once at a time; `error` keeps why it was refused. */
export function useAction<Arguments extends unknown[]>(act: (...given: Arguments) => Promise<void>) {
  const busy = shallowRef(false)
  const error = shallowRef<ApiError | null>(null)

  async function run(...given: Arguments): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    error.value = null
    try {
      await act(...given)
      return true
    } catch (reason) {
      error.value = reason instanceof ApiError ? reason : new ApiError(0, { detail: String(reason) })
      return false
    } finally {
      busy.value = false
    }
  }

  return { busy, error, run }
}
