import type { Blueprint, StepStatistics } from '@/api/types'
import { localized } from '@/text/format'

/** A step's numbers with its name in the language shown. */
export type NamedStatistics = StepStatistics & { title: string }

export interface BlueprintStatistics {
  name: string
  title: string
  steps: NamedStatistics[]
}

/** Names come from the blueprint, where it still has the step, else from the record. */
export function byBlueprint(
  statistics: readonly StepStatistics[],
  blueprints: readonly Blueprint[],
  locale: string,
): BlueprintStatistics[] {
  const names = [...new Set(statistics.map(({ blueprint }) => blueprint))]
  return names.map((name) => {
    const known = blueprints.find((blueprint) => blueprint.name === name)
    const titles = new Map(known?.steps.map((step) => [step.step, localized(step.display_name, locale)]))
    const steps = statistics
      .filter(({ blueprint }) => blueprint === name)
      .map((row) => ({ ...row, title: titles.get(row.step) || row.display_name || row.step }))
    return { name, title: localized(known?.title, locale) || name, steps }
  })
}

/** A length for the end of an axis: 1, 2 or 5 times a power of ten, at or above the value. */
export function niceLimit(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power
}
