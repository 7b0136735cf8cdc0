import { inject, type InjectionKey } from 'vue'
import { createApi, type StepwayApi } from './client'

export const API: InjectionKey<StepwayApi> = Symbol('stepway api')

export function useApi(): StepwayApi {
  return inject(API, () => createApi(), true)
}
