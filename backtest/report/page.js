// Draws the charts and the trades table of a report from the data that the page carries. Nothing is fetched.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NONE = "–";
  const CONFIG = {
    responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };
  const drawn = []; // what has to be drawn again when light becomes dark

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const axis = (more) => ({
    gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), automargin: true, ...more,
  });

  function layout(more) {
    return {
      paper_bgcolor: colour("ground"),
      plot_bgcolor: colour("ground"),
      font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") } },
      margin: { l: 10, r: 10, t: 32, b: 30 },
      showlegend: false,
      ...more,
    };
  }

  function chart(id, figure) {
    const place = document.getElementById(id);
    if (!place) return;
    const draw = () => {
      const made = figure();
      Plotly.react(place, made.data, layout(made.layout), CONFIG);
    };
    drawn.push(draw);
    draw();
  }

  // A number with so many decimals, as the tables of the page write it.
  function number(value, digits) {
    if (value === null || value === undefined) return NONE;
    const told = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return value < 0 && /[1-9]/.test(told) ? `−${told}` : told;
  }

  // Titles of charts know a little HTML: a name has none.
  const plain = (name) => name.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const price = (value) => (value === null ? NONE : value.toLocaleString("en-US", { maximumSignificantDigits: 9 }));
  const instant = (text) => text.slice(0, 16).replace("T", " ");
  const tone = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");

  chart("chart-equity", () => ({
    data: [
      {
        x: data.equity.ts, y: data.equity.equity, name: "equity", mode: "lines", line: { color: colour("up"), width: 1.5 },
        hovertemplate: "%{x|%Y-%m-%d %H:%M}<br>%{y:,.2f}<extra>equity</extra>",
      },
      {
        x: data.equity.ts, y: data.equity.drawdown.map((depth) => -depth), name: "drawdown", mode: "lines",
        line: { color: colour("down"), width: 1 }, fill: "tozeroy", yaxis: "y2",
        hovertemplate: "%{x|%Y-%m-%d %H:%M}<br>%{y:.2%}<extra>drawdown</extra>",
      },
    ],
    layout: {
      hovermode: "x unified",
      xaxis: axis({ anchor: "y2" }),
      yaxis: axis({ domain: [0.36, 1], title: { text: plain(data.quote) } }),
      yaxis2: axis({ domain: [0, 0.3], tickformat: ".1%", title: { text: "below peak" } }),
    },
  }));

  chart("chart-r", () => {
    const { width, from, count } = data.r;
    return {
      data: [{
        type: "bar", x: from.map((edge) => edge + width / 2), y: count, width,
        marker: { color: from.map((edge) => colour(edge < 0 ? "down" : "up")), line: { color: colour("ground"), width: 1 } },
        customdata: from.map((edge) => [edge, edge + width]),
        hovertemplate: "%{customdata[0]:.4~g} to %{customdata[1]:.4~g} R: %{y} trades<extra></extra>",
      }],
      layout: { xaxis: axis({ title: { text: "R" } }), yaxis: axis({ title: { text: "trades" } }), bargap: 0 },
    };
  });

  chart("chart-hours", () => {
    const days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const mean = days.map(() => Array(24).fill(null));
    const count = days.map(() => Array(24).fill(""));
    let most = 0;
    for (const row of data.hours) {
      mean[row.weekday - 1][row.hour] = row.mean_r;
      count[row.weekday - 1][row.hour] = row.trades;
      most = Math.max(most, Math.abs(row.mean_r));
    }
    const wide = document.getElementById("chart-hours").clientWidth > 640;
    return {
      data: [{
        type: "heatmap", x: [...Array(24).keys()], y: days, z: mean, text: count, zmin: -most, zmax: most,
        colorscale: [[0, colour("down")], [0.5, colour("panel")], [1, colour("up")]], xgap: 1, ygap: 1,
        texttemplate: wide ? "%{text}" : "", textfont: { size: 10 }, hoverongaps: false,
        colorbar: { title: { text: "mean R" }, thickness: 10, outlinewidth: 0 },
        hovertemplate: "%{y} %{x}:00 UTC<br>%{text} trades, mean %{z:.2f} R<extra></extra>",
      }],
      layout: {
        xaxis: axis({ title: { text: "hour (UTC)" }, showgrid: false, dtick: wide ? 1 : 4 }),
        yaxis: axis({ autorange: "reversed", showgrid: false }),
      },
    };
  });

  function percentiles(id, field, title, format) {
    chart(id, () => {
      const lines = [["shuffled", "other", "dot"], ["resampled", "up", "solid"]].map(([method, ink, dash]) => {
        const rows = data.monte_carlo.filter((row) => row.method === method && row[field] !== null);
        return {
          x: rows.map((row) => row.percentile), y: rows.map((row) => row[field]), name: method,
          mode: "lines+markers", line: { color: colour(ink), dash },
          hovertemplate: `%{x}th percentile: %{y:${format}}<extra>${method}</extra>`,
        };
      });
      const actual = data.monte_carlo.find((row) => row.method === "actual");
      if (actual && actual[field] !== null) {
        lines.push({
          x: [0, 100], y: [actual[field], actual[field]], name: "as it came", mode: "lines",
          line: { color: colour("down"), dash: "dash" }, hovertemplate: `%{y:${format}}<extra>as it came</extra>`,
        });
      }
      return {
        data: lines,
        layout: {
          showlegend: true,
          legend: { orientation: "h", y: -0.25 },
          xaxis: axis({ title: { text: "percentile of paths" }, range: [0, 100] }),
          yaxis: axis({ title: { text: title }, tickformat: format }),
        },
      };
    });
  }
  percentiles("chart-final", "final_equity", `final equity, ${plain(data.quote)}`, ",.0f");
  percentiles("chart-depth", "max_drawdown", "deepest drawdown", ".1%");

  chart("chart-null", () => {
    const { width, from, count } = data.null.histogram;
    const ours = data.null.value;
    const line = { type: "line", x0: ours, x1: ours, y0: 0, y1: 1, yref: "paper", line: { color: colour("down"), width: 2 } };
    const label = { x: ours, y: 1, yref: "paper", yanchor: "bottom", text: "this result", showarrow: false };
    return {
      data: [{
        type: "bar", x: from.map((edge) => edge + width / 2), y: count, width,
        marker: { color: colour("other"), line: { color: colour("ground"), width: 1 } },
        hovertemplate: "%{x:.3g}: %{y} null markets<extra></extra>",
      }],
      layout: {
        xaxis: axis({ title: { text: plain(data.null.statistic) } }),
        yaxis: axis({ title: { text: "null markets" } }),
        shapes: ours === null ? [] : [line],
        annotations: ours === null ? [] : [{ ...label, font: { color: colour("down") } }],
      },
    };
  });

  const closeups = new Map(data.closeups.map((one) => [one.trade_id, one]));
  const rowOf = new Map(data.trades.trade_id.map((number, row) => [number, row]));
  let shown = data.closeups.length ? data.closeups[0].trade_id : null;

  function candles() {
    const one = closeups.get(shown);
    const { start, step, at, open, high, low, close } = one.candles;
    const opens = open.map((_, place) => start + step * (at ? at[place] : place));
    const ends = opens.length ? [opens[0], opens[opens.length - 1] + step] : [];
    const level = (value, name, ink, dash) => ({
      x: ends, y: [value, value], name, mode: "lines", line: { color: colour(ink), width: 1, dash },
      hovertemplate: `${name} %{y}<extra></extra>`,
    });
    const row = rowOf.get(shown);
    const marks = { ENTRY: data.trades.side[row] === "LONG" ? "triangle-up" : "triangle-down", STOP: "x", TAKE_PROFIT: "circle", EXIT: "square" };
    const fills = one.fills.map(([ms, role, value, quantity]) => ({
      x: [ms], y: [value], name: role.toLowerCase().replace("_", " "), mode: "markers",
      marker: { symbol: marks[role], size: 11, color: colour(role === "ENTRY" ? "other" : "ink"), line: { color: colour("ground"), width: 1 } },
      hovertemplate: `%{x|%Y-%m-%d %H:%M}<br>${price(quantity)} at ${price(value)}<extra>${role}</extra>`,
    }));
    const bars = {
      type: "candlestick", x: opens.map((ms) => ms + step / 2), open, high, low, close, name: "price",
      increasing: { line: { color: colour("up"), width: 1 } }, decreasing: { line: { color: colour("down"), width: 1 } },
    };
    return {
      data: [
        bars,
        level(data.trades.stop[row], "stop", "severe", "dash"),
        level(data.trades.entry[row], "entry", "other", "dot"),
        ...one.targets.map((value, place) => level(value, `target ${place + 1}`, "good", "dash")),
        ...fills,
      ],
      layout: { xaxis: axis({ type: "date", rangeslider: { visible: false } }), yaxis: axis({ side: "right" }) },
    };
  }

  function tell() {
    const row = rowOf.get(shown);
    const trades = data.trades;
    const { bars } = closeups.get(shown).candles;
    const told = `Trade ${shown}: ${trades.side[row]} ${trades.symbol[row]} ${trades.tf[row]}, entered ` +
      `${instant(trades.entry_ts[row])} at ${price(trades.entry[row])}, stop ${price(trades.stop[row])}, left ` +
      `${instant(trades.exit_ts[row])} at ${price(trades.exit[row])} by ${trades.exit_reason[row]}: ${number(trades.r[row], 2)} R.` +
      (bars > 1 ? ` Each candle is ${bars} bars.` : "");
    document.getElementById("closeup-text").textContent = told;
    document.getElementById("chart-trade").setAttribute("aria-label", `Candles around the trade. ${told}`);
    document.getElementById("closeup-choice").value = String(shown);
  }

  let drawTrade = () => {};
  function show(number, scroll) {
    shown = number;
    tell();
    drawTrade();
    if (scroll) document.getElementById("closeups").scrollIntoView();
  }

  if (shown !== null) {
    const choice = document.getElementById("closeup-choice");
    const numbers = [...closeups.keys()];
    for (const one of numbers) {
      const row = rowOf.get(one);
      const option = new Option(
        `${one} · ${instant(data.trades.entry_ts[row])} · ${data.trades.symbol[row]} ${data.trades.side[row]} · ${number(data.trades.r[row], 2)} R`,
        String(one),
      );
      choice.add(option);
    }
    const move = (by) => show(numbers[(numbers.indexOf(shown) + by + numbers.length) % numbers.length], false);
    choice.addEventListener("change", () => show(Number(choice.value), false));
    document.getElementById("closeup-before").addEventListener("click", () => move(-1));
    document.getElementById("closeup-after").addEventListener("click", () => move(1));
    tell();
    chart("chart-trade", candles);
    drawTrade = drawn[drawn.length - 1];
  }

  const COLUMNS = [
    ["trade_id", "#", (value) => String(value), true],
    ["symbol", "symbol"],
    ["tf", "tf"],
    ["side", "side"],
    ["entry_ts", "entered (UTC)", instant],
    ["entry", "entry", price, true],
    ["stop", "stop", price, true],
    ["exit_ts", "left (UTC)", instant],
    ["exit", "exit", price, true],
    ["exit_reason", "by"],
    ["r", "R", (value) => number(value, 2), true],
    ["pnl", "PnL", (value) => number(value, 2), true],
    ["fees", "fees", (value) => number(value, 2), true],
    ["funding", "funding", (value) => number(value, 2), true],
    ["mfe_r", "MFE R", (value) => number(value, 2), true],
    ["mae_r", "MAE R", (value) => number(value, 2), true],
    ["qty", "quantity", price, true],
    ["regime", "regime"],
    ["zone_strength", "strength", (value) => (value === null ? NONE : String(value)), true],
    ["guesses", "guesses", (value) => String(value), true],
  ];
  const PAGE = 50;

  function tradesTable(body, head) {
    let order = data.trades.trade_id.map((_, row) => row);
    let first = 0;
    let sorted = { column: "trade_id", ascending: true };

    function cell(row, [column, , format, isNumber]) {
      const value = data.trades[column][row];
      const made = document.createElement("td");
      made.textContent = value === null ? NONE : format ? format(value) : value;
      made.className = [isNumber ? "number" : "", column === "r" || column === "pnl" ? tone(value) : ""].join(" ").trim();
      return made;
    }

    function picture(row) {
      const made = document.createElement("td");
      const trade = data.trades.trade_id[row];
      if (closeups.has(trade)) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = "chart";
        button.setAttribute("aria-label", `Chart of trade ${trade}`);
        button.addEventListener("click", () => show(trade, true));
        made.append(button);
      }
      return made;
    }

    function fill() {
      const rows = order.slice(first, first + PAGE).map((row) => {
        const made = document.createElement("tr");
        made.append(...COLUMNS.map((column) => cell(row, column)), picture(row));
        return made;
      });
      body.replaceChildren(...rows);
      const last = Math.min(first + PAGE, order.length);
      document.getElementById("trades-place").textContent = `${first + 1} to ${last} of ${order.length}`;
      document.getElementById("trades-before").disabled = first === 0;
      document.getElementById("trades-after").disabled = last >= order.length;
      for (const heading of head.querySelectorAll("th[data-column]")) {
        const is = heading.dataset.column === sorted.column;
        heading.setAttribute("aria-sort", is ? (sorted.ascending ? "ascending" : "descending") : "none");
        heading.firstChild.textContent = heading.dataset.label + (is ? (sorted.ascending ? " ▲" : " ▼") : "");
      }
    }

    function sort(column) {
      const values = data.trades[column];
      const ascending = sorted.column === column ? !sorted.ascending : true;
      sorted = { column, ascending };
      const sign = ascending ? 1 : -1;
      // What does not exist comes last either way.
      order.sort((one, other) => {
        const [a, b] = [values[one], values[other]];
        if (a === null || b === null) return (a === null) - (b === null) || one - other;
        return a < b ? -sign : a > b ? sign : one - other;
      });
      first = 0;
      fill();
    }

    const headings = COLUMNS.map(([column, label, , isNumber]) => {
      const heading = document.createElement("th");
      heading.scope = "col";
      heading.className = isNumber ? "number" : "";
      heading.dataset.column = column;
      heading.dataset.label = label;
      const button = document.createElement("button");
      button.type = "button";
      button.addEventListener("click", () => sort(column));
      heading.append(button);
      return heading;
    });
    const last = document.createElement("th");
    last.scope = "col";
    last.textContent = "chart";
    head.append(...headings, last);
    document.getElementById("trades-before").addEventListener("click", () => { first -= PAGE; fill(); });
    document.getElementById("trades-after").addEventListener("click", () => { first += PAGE; fill(); });
    fill();
  }

  const body = document.getElementById("trades-body");
  if (body) tradesTable(body, document.getElementById("trades-head"));

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((draw) => draw()));
})();
