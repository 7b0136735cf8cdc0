import { LOCALES, useText, type Text } from './text'

/** The texts of the log viewer, which are loaded with it. */
const en = {
  log: {
    of: 'Log of {step}',
    attempt: 'Attempt',
    attemptOf: 'Attempt {attempt}',
    roundOf: 'Round {round}, attempt {attempt}',
    withOutcome: '{attempt} · {outcome}',
    rollback: 'Rollback',
    compare: 'Compare',
    compareWith: 'Compare with',
    stopComparing: 'Stop comparing',
    expand: 'Full window',
    shrink: 'Back to the page',
    close: 'Hide log',
    tools: 'Tools of {log}',
    search: 'Search the log',
    searchHint: 'Search',
    matchCase: 'Match case',
    regex: 'Regular expression',
    badRegex: 'Invalid regular expression',
    previous: 'Previous match',
    next: 'Next match',
    clear: 'Clear the search',
    hits: '{number} of {count} line | {number} of {count} lines',
    noHits: 'No matches',
    searching: 'Searching…',
    filter: 'Filter',
    filterOn: 'Filter (on)',
    levels: 'Levels',
    streams: 'Streams',
    level: { debug: 'Debug', info: 'Info', warning: 'Warning', error: 'Error' },
    stream: { log: 'Logger', stdout: 'stdout', stderr: 'stderr' },
    showAll: 'Show everything',
    allHidden: 'The filter hides all lines.',
    wrap: 'Wrap lines',
    times: 'Time stamps',
    time: { off: 'No times', relative: 'Relative times', local: 'Local times' },
    goTo: 'Go to line',
    goToHint: '10 or 10-20',
    copyAll: 'Copy all',
    copyLines: 'Copy {count} line | Copy {count} lines',
    copyLink: 'Copy link',
    download: 'Download',
    downloadFailed: 'The download failed: {reason}',
    collapseAll: 'Close all groups',
    expandAll: 'Open all groups',
    inGroup: '{count} line | {count} lines',
    errors: '{count} error | {count} errors',
    warnings: '{count} warning | {count} warnings',
    newLines: '{count} new line | {count} new lines',
    toEnd: 'Go to the end',
    spoken: '{count} new log line. Last: {text} | {count} new log lines. Last: {text}',
    gap: '… {size} left out ({count} line) | … {size} left out ({count} lines)',
    gapOfLines: '… {count} line left out | … {count} lines left out',
    cut: '… {size} more in this line. Copy or download it to see all of it.',
    cutAtEnd: '… {size} more at the end of this line. Copy or download it to see its end. Its middle is not kept.',
    missing: 'Load {count} earlier line | Load {count} earlier lines',
    loadingEarlier: 'Loading earlier lines… {count} left',
    dropped: '{count} earlier line is no longer kept in this browser. Download the log to see all of it. | {count} earlier lines are no longer kept in this browser. Download the log to see all of it.',
    loading: 'Loading the log…',
    empty: 'This attempt wrote no log.',
    emptySoFar: 'No log lines yet.',
    gone: 'The log of this attempt was deleted because it is older than the retention period.',
    absent: 'There is no log of this attempt.',
    forbidden: 'You do not have permission to see this log.',
    signedOut: 'Sign in to see this log.',
    lost: 'Connection lost. Reconnecting…',
    refused: 'The log cannot be read right now. Retrying…',
    reconnect: 'Reconnect now',
    noLine: 'Line {line} does not exist: the log has {count} line. | Line {line} does not exist: the log has {count} lines.',
    noAttempt: '{attempt} does not exist. The newest attempt is shown.',
    live: 'Live',
    endMissing: 'The end of this log is missing: its worker was lost before it had written all lines.',
    superseded: 'A newer attempt has begun.',
    end: 'End of the log: {outcome}',
    lines: '{count} line | {count} lines',
    lastLines: 'Last lines of the log',
  },
}

const zh: typeof en = {
  log: {
    of: '“{step}”的日志',
    attempt: '尝试',
    attemptOf: '第 {attempt} 次尝试',
    roundOf: '第 {round} 轮第 {attempt} 次尝试',
    withOutcome: '{attempt} · {outcome}',
    rollback: '撤销',
    compare: '对比',
    compareWith: '对比对象',
    stopComparing: '结束对比',
    expand: '全窗口显示',
    shrink: '返回页面',
    close: '收起日志',
    tools: '{log}的工具',
    search: '搜索日志',
    searchHint: '搜索',
    matchCase: '区分大小写',
    regex: '正则表达式',
    badRegex: '正则表达式无效',
    previous: '上一个匹配',
    next: '下一个匹配',
    clear: '清除搜索',
    hits: '第 {number} 行，共 {count} 行匹配',
    noHits: '无匹配',
    searching: '正在搜索…',
    filter: '筛选',
    filterOn: '筛选（已启用）',
    levels: '级别',
    streams: '输出流',
    level: { debug: '调试', info: '信息', warning: '警告', error: '错误' },
    stream: { log: '日志记录器', stdout: '标准输出', stderr: '标准错误' },
    showAll: '显示全部',
    allHidden: '筛选条件隐藏了所有行。',
    wrap: '自动换行',
    times: '时间戳',
    time: { off: '不显示时间', relative: '相对时间', local: '本地时间' },
    goTo: '跳转到行',
    goToHint: '10 或 10-20',
    copyAll: '复制全部',
    copyLines: '复制 {count} 行',
    copyLink: '复制链接',
    download: '下载',
    downloadFailed: '下载失败：{reason}',
    collapseAll: '折叠所有分组',
    expandAll: '展开所有分组',
    inGroup: '{count} 行',
    errors: '{count} 个错误',
    warnings: '{count} 个警告',
    newLines: '{count} 行新日志',
    toEnd: '跳到末尾',
    spoken: '新增 {count} 行日志。最后一行：{text}',
    gap: '… 省略了 {size}（{count} 行）',
    gapOfLines: '… 省略了 {count} 行',
    cut: '… 此行还有 {size}。复制或下载后可查看全部内容。',
    cutAtEnd: '… 此行末尾还有 {size}。复制或下载后可查看末尾。此行的中间部分未保留。',
    missing: '加载前面的 {count} 行',
    loadingEarlier: '正在加载前面的日志… 还剩 {count} 行',
    dropped: '浏览器中已不再保留前面的 {count} 行。下载日志可查看全部内容。',
    loading: '正在加载日志…',
    empty: '此次尝试没有写日志。',
    emptySoFar: '暂无日志。',
    gone: '此次尝试的日志已超过保留期限并被删除。',
    absent: '此次尝试没有日志。',
    forbidden: '您没有查看此日志的权限。',
    signedOut: '登录后才能查看此日志。',
    lost: '连接已断开。正在重新连接…',
    refused: '暂时无法读取日志。正在重试…',
    reconnect: '立即重新连接',
    noLine: '第 {line} 行不存在：日志共有 {count} 行。',
    noAttempt: '{attempt}不存在。当前显示最新的尝试。',
    live: '实时',
    endMissing: '此日志的末尾缺失：工作进程在写完所有行之前失联。',
    superseded: '已有更新的尝试。',
    end: '日志结束：{outcome}',
    lines: '{count} 行',
    lastLines: '日志的最后几行',
  },
}

export const LOG_TEXTS = { en, zh }

/** `420 characters` would not help: about as many bytes, as `83 MB`. */
export function amountText(characters: number): string {
  if (characters < 1e6) return `${Math.max(1, Math.round(characters / 1e3))} kB`
  return characters < 1e9 ? `${Math.round(characters / 1e6)} MB` : `${(characters / 1e9).toFixed(1)} GB`
}

const formats = new Map<string, Intl.NumberFormat>()

/** `20,004` */
export function numberText({ locale }: Text, number: number): string {
  let format = formats.get(locale.value)
  if (!format) formats.set(locale.value, (format = new Intl.NumberFormat(locale.value)))
  return format.format(number)
}

/** The text for so many, with the number as the language writes it. */
export function countText(text: Text, key: string, count: number, more: Record<string, string> = {}): string {
  return text.t(key, { ...more, count: numberText(text, count) }, count)
}

/** What is shown in place of lines that the server does not have. */
export function gapText(text: Text, { lines, characters }: { lines: number; characters: number | null }): string {
  return characters ? countText(text, 'log.gap', lines, { size: amountText(characters) }) : countText(text, 'log.gapOfLines', lines)
}

const merged = new WeakSet<Text>()

/** The texts of the page with those of the log viewer. */
export function useLogText(): Text {
  const text = useText()
  if (merged.has(text)) return text
  merged.add(text)
  for (const locale of LOCALES) text.mergeLocaleMessage(locale, LOG_TEXTS[locale])
  return text
}
