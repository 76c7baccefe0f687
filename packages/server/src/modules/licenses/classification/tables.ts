/** Tables of what decides whether an installation is managed (domain.md §3). */
export interface ClassificationTables {
  /** The ordered list: rows by place, each a ClassificationRule (JSON). */
  lic_class_rules: { place: number; rule: string };
  /** The class of a licence's installations where nothing else decides. */
  lic_class_categories: { license: number; category: string };
  /** Installations that somebody decided about. */
  lic_class_corrections: {
    device: number;
    license: number;
    class: string;
    reason: string;
    /** Id of the token that did it. */
    by: string;
    at: number;
  };
}
