"""What the form adds to the look of all pages."""

CSS = """
.form-page { display: grid; grid-template-columns: minmax(340px, 460px) minmax(0, 1fr); gap: 20px; align-items: start; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 14px 16px; }
.wide { grid-column: 1 / -1; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 20px; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); gap: 20px; }
.answer-head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; margin-bottom: 8px; }
.answer-head h2 { display: flex; flex: 1 0 auto; gap: 8px; align-items: baseline; margin: 0; font-size: 14px;
  font-weight: 400; white-space: nowrap; }
.answer-head h2 > * { flex: none; }
.version { font-weight: 600; }
.links { display: flex; gap: 12px; font-size: 13px; }
#answer { scroll-margin-top: 64px; }
.dim { color: var(--mantine-color-dimmed); }
.number { display: flex; flex-wrap: wrap; gap: 0 8px; align-items: baseline; }
.big { font-size: 42px; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.difference { margin-left: auto; font-size: 13px; font-variant-numeric: tabular-nums; }
.interval { margin: 10px 0 18px; max-width: 480px; }
.line { position: relative; height: 10px; border-radius: 5px; background: var(--line); }
.band { position: absolute; height: 100%; border-radius: 5px; background: var(--series); opacity: .45; }
.dot { position: absolute; top: -2px; width: 14px; height: 14px; margin-left: -7px; border-radius: 50%;
  background: var(--series); border: 2px solid var(--card); box-sizing: border-box; }
.ends { display: flex; justify-content: space-between; margin-top: 4px; font-size: 13px;
  font-variant-numeric: tabular-nums; }
.notes { margin-bottom: 16px; padding: 10px 14px; }
.notes ul { margin: 0; padding-left: 16px; }
.answer h3 { margin: 0 0 8px; font-size: 13px; font-weight: 600; }
.bars { display: grid; grid-template-columns: fit-content(46%) minmax(60px, 1fr) auto; gap: 5px 12px;
  align-items: center; font-size: 13px; line-height: 1.35; }
.bars > :nth-child(3n) { text-align: right; font-variant-numeric: tabular-nums; }
.bars > :nth-last-child(-n+3) { font-weight: 600; padding-top: 4px; }
.track { position: relative; height: 14px; }
.zero { position: absolute; top: -3px; bottom: -3px; border-left: 1px solid var(--mantine-color-dimmed); opacity: .5; }
.bar { position: absolute; height: 100%; min-width: 1px; border-radius: 2px; }
.more { background: var(--series); }
.less { background: var(--against); }
.tools { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-top: 14px; font-size: 13px; }
.empty { padding: 48px 20px; text-align: center; color: var(--mantine-color-dimmed); }
.waiting { opacity: .5; }
@media (max-width: 62em) { .form-page { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 48em) {
  .fields { grid-template-columns: minmax(0, 1fr); }
  .buttons button[type=submit] { flex: 1 0 100%; }
  .big { font-size: 34px; }
}
"""
