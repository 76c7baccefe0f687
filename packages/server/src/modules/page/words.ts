/** Purpose: the few words of the page, in the languages of the companies that use it. */
export const languages = ["en", "ja", "zh"] as const;
export type Language = (typeof languages)[number];

const table = {
  company: { en: "Company", ja: "会社", zh: "公司" },
  departments: { en: "Departments", ja: "部署", zh: "部门" },
  department: { en: "Department", ja: "部署", zh: "部门" },
  license: { en: "Licence", ja: "ライセンス", zh: "许可" },
  metric: { en: "Metric", ja: "計数単位", zh: "计量" },
  required: { en: "Required", ja: "所要数", zh: "需求数" },
  held: { en: "Held", ja: "保有数", zh: "保有数" },
  rights: { en: "Rights", ja: "権利数", zh: "权利数" },
  requested: { en: "Requested", ja: "申請数", zh: "申请数" },
  used: { en: "Used", ja: "使用数", zh: "使用数" },
  overUnder: { en: "Over/under", ja: "過不足", zh: "余缺" },
  idle: { en: "Idle", ja: "遊休", zh: "闲置" },
  nodes: { en: "Nodes", ja: "ノード", zh: "节点" },
  node: { en: "Node", ja: "ノード", zh: "节点" },
  kind: { en: "Kind", ja: "種別", zh: "类型" },
  policy: { en: "Policy", ja: "ポリシー", zh: "策略" },
  dictionary: { en: "Dictionary", ja: "辞書", zh: "字典" },
  state: { en: "State", ja: "状態", zh: "状态" },
  lag: { en: "Behind", ja: "遅れ", zh: "落后" },
  waiting: { en: "Waiting reports", ja: "未送信の報告", zh: "待发报告" },
  lastSeen: { en: "Last heard of", ja: "最終確認", zh: "最近联系" },
  complete: { en: "● complete", ja: "● 配布済", zh: "● 已完成" },
  "in-progress": { en: "○ in progress", ja: "○ 配布中", zh: "○ 进行中" },
  failed: { en: "✕ failed", ja: "✕ 失敗", zh: "✕ 失败" },
  none: { en: "– not yet distributed", ja: "– 未配布", zh: "– 未分发" },
  empty: { en: "Nothing yet.", ja: "まだありません。", zh: "暂无。" },
  companies: { en: "Companies", ja: "各社", zh: "各公司" },
  devices: { en: "Devices", ja: "機器", zh: "设备" },
  version: { en: "Version", ja: "版", zh: "版本" },
  at: { en: "As of", ja: "時点", zh: "截至" },
  truncated: {
    en: "There is more; the API has it all.",
    ja: "続きがあります。全件は API から取得できます。",
    zh: "还有更多内容，可通过 API 获取全部。",
  },
  agent: { en: "agent", ja: "エージェント", zh: "代理" },
  relay: { en: "relay", ja: "中継", zh: "中继" },
  server: { en: "server", ja: "サーバー", zh: "服务器" },
} as const satisfies Record<string, Record<Language, string>>;

export type Word = keyof typeof table;

export function wordsOf(language: Language): (word: Word) => string {
  return (word) => table[word][language];
}

/** The first language of the browser's list that the page knows, by weight. */
export function languageOf(acceptLanguage: string | undefined): Language {
  const wanted = (acceptLanguage ?? "")
    .slice(0, 512)
    .split(",")
    .map((part) => {
      const [tag = "", ...parameters] = part.trim().toLowerCase().split(";");
      const weight = parameters.map((p) => /^\s*q=([\d.]+)$/.exec(p)?.[1]).find((q) => q !== undefined);
      return { tag: tag.split("-")[0] ?? "", weight: weight === undefined ? 1 : Number(weight) };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight);
  for (const { tag } of wanted) {
    const known = languages.find((language) => language === tag);
    if (known !== undefined) return known;
  }
  return "en";
}
