"""What the dashboards add to the look of all pages."""

CSS = """
.under-title { display: flex; flex-wrap: wrap; gap: 10px 20px; align-items: center; justify-content: space-between; }
.page-head { margin-bottom: 12px; }
#boards { display: flex; gap: 2px; align-items: center; overflow-x: auto; margin: 0 -10px 14px; scrollbar-width: none; }
#boards a { padding: 4px 10px; border-radius: 6px; font-size: 14px; white-space: nowrap; text-decoration: none;
  color: var(--mantine-color-dimmed); }
#boards a:hover { color: var(--mantine-color-text); background: var(--line); }
#boards a.current { color: var(--mantine-color-text); background: var(--line); font-weight: 600; }
#boards .between { flex: none; width: 1px; height: 16px; margin: 0 6px; background: var(--line); }
.tools { display: flex; gap: 10px; align-items: center; }
.cell { height: 100%; }
.chart-card { display: flex; flex-direction: column; height: 100%; padding: 8px 10px 8px; box-sizing: border-box;
  min-width: 0; container-type: inline-size; }
.card-head { display: flex; flex: none; gap: 6px; align-items: center; min-height: 26px; }
.space { flex: 1; }
.card-head h2 { min-width: 0; margin: 0; font-size: 14px; font-weight: 600; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.card-grip { flex: none; width: 10px; height: 16px; cursor: grab; opacity: .45; touch-action: none;
  background: radial-gradient(circle, currentColor 1.2px, transparent 1.3px) 0 0 / 5px 5.4px; }
.card-grip:hover { opacity: 1; }
.react-draggable-dragging .card-grip { cursor: grabbing; }
.react-draggable-dragging { z-index: 3; opacity: .92; }
.about { flex: none; display: inline-flex; align-items: center; justify-content: center; width: 15px; height: 15px;
  border: 1px solid currentColor; border-radius: 50%; font: italic 600 10px/1 Georgia, serif; cursor: help;
  color: var(--mantine-color-dimmed); position: relative; }
.about:hover::after, .about:focus::after { content: attr(data-about); position: absolute; top: 20px; right: -60px;
  z-index: 9;
  width: 270px; padding: 8px 10px; border-radius: 8px; font: 13px/1.4 var(--mantine-font-family); text-align: left;
  background: var(--mantine-color-dark-6); color: #fff; box-shadow: 0 4px 14px #0004; }
.react-grid-item:hover, .react-grid-item:focus-within { z-index: 4; }
.downloads { flex: none; opacity: 0; }
.downloads button { padding: 1px 4px; border: 0; border-radius: 4px; background: none; font-size: 11px; cursor: pointer;
  color: var(--mantine-color-dimmed); }
.downloads button:hover { color: var(--mantine-color-text); background: var(--line); }
.chart-card:hover .downloads, .downloads:focus-within { opacity: 1; }
@media (hover: none) { .downloads { opacity: .8; } }
@container (max-width: 240px) {
  .downloads { position: absolute; right: 0; bottom: 0; }
  .message { font-size: 12px; padding: 0; }
}
.choice { flex: 0 1 230px; min-width: 90px; }
@container (max-width: 420px) {
  .card-head:has(.choice:not([style*=none])) { flex-wrap: wrap; }
  .choice { order: 9; flex: 1 0 100%; }
}
.card-body { flex: 1; min-height: 0; position: relative; }
.graph { height: 100%; }
.waiting { height: 100%; border-radius: 6px; background: var(--line); opacity: .35;
  animation: wait 1.4s infinite alternate; }
@keyframes wait { to { opacity: .7; } }
.message { display: flex; height: 100%; align-items: center; justify-content: center; padding: 0 14px;
  text-align: center; font-size: 14px; color: var(--mantine-color-dimmed); overflow: auto; }
.message p { margin: 0; max-width: 46em; }
.message code { font-size: 12.5px; color: var(--mantine-color-text); }
.note { position: absolute; right: 4px; bottom: 0; z-index: 1; padding: 1px 6px; border-radius: 4px; font-size: 11px;
  background: var(--page); color: var(--mantine-color-orange-text); }
.card-body > div:has(> .note) { height: 100%; }
.message.wrong { color: var(--mantine-color-red-text); }
.number { height: 100%; display: flex; flex-direction: column; align-items: flex-start; justify-content: center;
  padding: 0 6px; overflow: hidden; }
.number .figure { font-size: clamp(17px, 9cqi, 30px); font-weight: 650; line-height: 1.15; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.number .beside { margin-top: 3px; font-size: 13px; color: var(--mantine-color-dimmed); }
.table { height: 100%; overflow: auto; }
.rows { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
.rows th { position: sticky; top: 0; padding: 4px 8px; text-align: left; font-weight: 600; vertical-align: bottom;
  background: var(--card); color: var(--mantine-color-dimmed); box-shadow: inset 0 -1px var(--line); z-index: 1; }
.rows td { padding: 4px 8px; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
.rows td.long { min-width: 220px; white-space: normal; }
.rows .mantine-Badge-root { min-width: max-content; }
.rows .right { text-align: right; }
.rows a { color: var(--mantine-color-anchor); text-decoration: none; }
.rows a:hover { text-decoration: underline; }
.react-grid-item > .react-resizable-handle::after { border-color: var(--mantine-color-dimmed); opacity: .6; }
.react-grid-item.react-grid-placeholder { background: var(--series); opacity: .18; border-radius: 10px; }
.editor-head { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; }
.editor-head .buttons { display: flex; gap: 8px; }
.editor { display: grid; grid-template-columns: minmax(320px, 2fr) minmax(0, 3fr); gap: 16px;
  height: calc(92vh - 84px); }
.write { display: flex; flex-direction: column; gap: 8px; min-height: 0; }
.yaml { flex: 1; min-height: 0; display: flex; flex-direction: column; }
.yaml .mantine-Textarea-wrapper, .yaml textarea { flex: 1; height: 100%; resize: none; white-space: pre; overflow: auto;
  font: 12.5px/1.5 var(--mantine-font-family-monospace); tab-size: 2; }
.known { font-size: 13px; max-height: 40%; overflow: auto; }
.known summary { cursor: pointer; font-weight: 600; }
.known pre { font: 12px/1.5 var(--mantine-font-family-monospace); white-space: pre-wrap; }
.read { min-height: 0; overflow: auto; }
.right-verdict, .wrong-verdict { position: sticky; top: 0; z-index: 2; padding: 7px 10px; border-radius: 6px;
  font-size: 13px; margin-bottom: 10px; background: var(--page); }
.right-verdict { box-shadow: inset 3px 0 #4c9a6a; }
.wrong-verdict { box-shadow: inset 3px 0 #c25b56; }
.preview { display: grid; grid-template-columns: repeat(12, minmax(0, 1fr)); }
@media (max-width: 48em) {
  .card-grip { display: none; }
  .tools { width: 100%; }
  .tools { flex-wrap: wrap; }
  .editor { grid-template-columns: minmax(0, 1fr); height: auto; }
  .yaml { min-height: 300px; }
  .preview { display: block; }
  .preview .chart-card { height: 300px; margin-bottom: 10px; }
}
"""
