// What margin_lab's front end uses of d3; esbuild drops the rest.
export { scaleLinear, scaleLog, scaleSymlog } from "d3-scale";
export { axisBottom, axisLeft } from "d3-axis";
export { line, symbol, symbolCircle, symbolDiamond, symbolSquare, symbolTriangle } from "d3-shape";
export { select } from "d3-selection";
export { format } from "d3-format";
