// Draws the charts of a walk-forward.
(() => {
  const day = (instant) => instant.slice(0, 10);
  const numbers = data.windows.map((_, number) => number);

  chart("chart-equity", (place) => {
    const figure = equityFigure(data.equity, data.quote);
    const shaded = data.windows.filter((_, number) => number % 2).map(([from, to]) => ({
      type: "rect", x0: from, x1: to, y0: 0, y1: 1, yref: "paper", layer: "below",
      fillcolor: colour("grid"), opacity: 0.6, line: { width: 0 },
    }));
    // Numbers of folds, as many as there is room for.
    const every = Math.ceil((data.windows.length * 24) / place.clientWidth);
    const labels = data.windows.map(([from, to], number) => ({
      x: new Date((Date.parse(from) + Date.parse(to)) / 2).toISOString(), y: 1, yref: "paper", yanchor: "bottom",
      text: String(number), showarrow: false, font: { size: 11, color: colour("faint") },
    }));
    const shown = labels.filter((_, number) => number % every === 0);
    return { ...figure, layout: { ...figure.layout, shapes: shaded, annotations: shown } };
  });

  chart("chart-training", (place) => {
    const bars = (name, values, ink, opacity) => ({
      type: "bar", x: numbers, y: values, name, marker: { color: colour(ink), opacity },
      customdata: data.windows.map(([from, to]) => `${day(from)} to ${day(to)}`),
      hovertemplate: `fold %{x}, tested %{customdata}<br>Sharpe ratio %{y:.2f}<extra>${name}</extra>`,
    });
    const every = Math.ceil((numbers.length * 24) / place.clientWidth);
    return {
      data: [bars("in training", data.training, "faint", 0.5), bars("in the test window", data.test, "up", 1)],
      layout: {
        showlegend: true,
        legend: { orientation: "h", y: 1.14 },
        bargap: 0.35,
        xaxis: axis({ title: { text: "fold" }, tickmode: "linear", dtick: every, showgrid: false, zeroline: false }),
        yaxis: axis({ title: { text: "Sharpe ratio, a year" } }),
      },
    };
  });

  data.choices.forEach(({ searched, chosen }, number) => {
    chart(`chart-choice-${number}`, () => {
      // The last value holds to the end of its window.
      const ends = data.windows[data.windows.length - 1][1];
      return {
        data: [{
          x: [...data.windows.map(([from]) => from), ends], y: [...chosen, chosen[chosen.length - 1]],
          text: [...chosen, chosen[chosen.length - 1]].map((at) => plain(searched[at])),
          mode: "lines+markers", line: { color: colour("other"), width: 2, shape: "hv" },
          marker: { size: [...chosen.map(() => 7), 0], color: colour("other") },
          hovertemplate: "from %{x|%Y-%m-%d}: %{text}<extra></extra>",
        }],
        layout: {
          margin: { l: 10, r: 10, t: 8, b: 30 },
          xaxis: axis({ type: "date" }),
          yaxis: axis({
            tickvals: searched.map((_, at) => at), ticktext: searched.map(plain),
            range: [-0.5, searched.length - 0.5], zeroline: false,
          }),
        },
      };
    });
  });
})();
