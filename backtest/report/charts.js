// What the scripts of all pages share: the page's data, colours, axes, and charts that are drawn again when light
// becomes dark. Nothing is fetched.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const CONFIG = {
  responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};
const drawn = []; // what has to be drawn again

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// Titles of charts know a little HTML: a name has none.
const plain = (name) => name.replace(/&/g, "&amp;").replace(/</g, "&lt;");

const axis = (more) => ({
  gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), automargin: true, ...more,
});

const layout = (more) => ({
  paper_bgcolor: colour("ground"),
  plot_bgcolor: colour("ground"),
  font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
  hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") } },
  margin: { l: 10, r: 10, t: 32, b: 30 },
  showlegend: false,
  ...more,
});

// Draws what `figure` makes, in the element of that id; a page that has none of it goes without.
function chart(id, figure) {
  const place = document.getElementById(id);
  if (!place) return;
  const draw = () => {
    const made = figure(place);
    Plotly.react(place, made.data, layout(made.layout), CONFIG);
  };
  drawn.push(draw);
  draw();
}

// Equity, beside it what holding would have made, and under it how far it is below its peak.
const equityFigure = ({ ts, equity, drawdown, held }, quote) => ({
  data: [
    ...(held ? [{
      x: ts, y: held, name: "buy and hold", mode: "lines", line: { color: colour("faint"), width: 1, dash: "dash" },
      hovertemplate: "%{y:,.2f}<extra>buy and hold</extra>",
    }] : []),
    {
      x: ts, y: equity, name: "equity", mode: "lines", line: { color: colour("up"), width: 1.5 },
      hovertemplate: "%{x|%Y-%m-%d %H:%M}<br>%{y:,.2f}<extra>equity</extra>",
    },
    {
      x: ts, y: drawdown.map((depth) => -depth), name: "drawdown", mode: "lines",
      line: { color: colour("down"), width: 1 }, fill: "tozeroy", yaxis: "y2",
      hovertemplate: "%{x|%Y-%m-%d %H:%M}<br>%{y:.2%}<extra>drawdown</extra>",
    },
  ],
  layout: {
    hovermode: "x unified",
    xaxis: axis({ anchor: "y2" }),
    yaxis: axis({ domain: [0.36, 1], title: { text: plain(quote) } }),
    yaxis2: axis({ domain: [0, 0.3], tickformat: ".1%", title: { text: "below peak" } }),
  },
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((draw) => draw()));
