const PROPERTY = /@property\s+(--[\w-]+)\s*\{([^}]*)\}/g

/**
 * Tailwind gives its variables their first values by `@property`, which a shadow root ignores.
 * The same values as plain declarations, in the weakest layer, do what is needed there.
 */
export function forShadowRoot(css: string): string {
  const values: string[] = []
  const rest = css.replace(PROPERTY, (_, name: string, body: string) => {
    const value = /initial-value:\s*([^;]+)/.exec(body)?.[1]?.trim()
    if (value !== undefined) values.push(`${name}:${value}`)
    return ''
  })
  return `@layer properties{*,::before,::after{${values.join(';')}}}${rest}`
}
