"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  // On a narrow screen the tag beside the heading says it for the whole chart.
  const narrow = () => window.innerWidth < 620;
  const word = (name) => (data.fills_word && !narrow() ? `${name} (${data.fills_word})` : name);
  const time = (ms) => new Date(data.start_ms + ms).toISOString().replace("Z", "");
  const times = (column) => column.map(time);
  const scaled = (column, scale) => column.map((value) => (value === null ? null : value / scale));
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const usd = (value) => (value < 0 ? "−$" : "$") + Math.abs(value).toLocaleString("en-US", { maximumFractionDigits: 4 });

  const layout = (more) => {
    const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"), automargin: true };
    return Object.assign({
      margin: { l: 12, r: 12, t: 8, b: 34 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, Segoe UI, Roboto, Arial, sans-serif", size: narrow() ? 11 : 12.5, color: colour("--quiet") },
      hovermode: "x unified", dragmode: narrow() ? false : "zoom", hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      legend: { orientation: "h", traceorder: "normal", x: 0, y: 1.02, yanchor: "bottom", font: { color: colour("--ink") } },
      xaxis: Object.assign({ type: "date", range: [time(0), time(Math.max(1000, data.end_ms))], nticks: narrow() ? 4 : 9 }, axis),
      yaxis: Object.assign({ tickformat: "$,.4~f", zeroline: true, nticks: 7 }, axis),
    }, more(axis));
  };
  const config = { displaylogo: false, responsive: true, displayModeBar: false };
  const draw = (id, traces, shape) => {
    const place = byId(id);
    if (!place) return;
    const printing = document.documentElement.classList.contains("print");
    const size = printing ? { width: place.clientWidth, height: place.clientHeight } : { autosize: true };
    Plotly.react(place, traces, Object.assign(layout(shape), size), config);
  };
  const line = (name, column, source, tint, more) => Object.assign({
    type: "scatter", mode: "lines", name, x: times(source.t), y: scaled(source[column], 1e6),
    line: { color: colour(tint), width: 1.6, shape: "hv" }, hovertemplate: "%{y:$,.2f}",
  }, more);

  const nothing = (id, text) => {
    const place = byId(id);
    if (!place) return;
    const said = document.createElement("p");
    said.className = "quiet";
    said.textContent = text;
    place.replaceWith(said);
  };

  const band = (name, column, tint, more) => Object.assign({
    type: "scatter", mode: "lines", name, x: times(data.rewards.t), y: data.rewards[column],
    line: { color: colour(tint), width: 1, shape: "hv" }, hovertemplate: "%{y:$,.2f}",
  }, more);

  const drawEquity = () => draw("equity", [
    line(word("PnL"), "pnl", data.equity, "--c1", { line: { color: colour("--c1"), width: 2.6, shape: "hv" } }),
    line(word("realised"), "realised", data.equity, "--c2"),
    line(word("unrealised"), "unrealised", data.equity, "--c3"),
    line(word("fees, as a cost"), "fees", data.equity, "--c4", { line: { color: colour("--c4"), width: 1.6, dash: "dot", shape: "hv" } }),
    ...(data.rebates_paid ? [] : [line(narrow() ? "rebates (estimated)" : "rebates (estimated, beside the PnL)", "rebates", data.equity, "--c5", { line: { color: colour("--c5"), width: 1.6, dash: "dash", shape: "hv" } })]),
    ...(data.rewards.t.length ? [band(narrow() ? "rewards (estimated)" : "rewards, mid (estimated, beside the PnL)", "mid", "--assumed", { line: { color: colour("--assumed"), width: 1.6, dash: "dash", shape: "hv" } })] : []),
  ], () => ({}));

  const drawExposure = () => draw("exposure", [
    line(word("exposure, worst case"), "exposure", data.exposure, "--c4", { line: { color: colour("--c4"), width: 1.2, shape: "hv" }, fill: "tozeroy", fillcolor: colour("--touch") }),
    line(word("held, at the mid"), "inventory", data.exposure, "--c3", { line: { color: colour("--c3"), width: 1.2, shape: "hv" } }),
    line(word("cash locked by bids"), "locked", data.exposure, "--c1", { line: { color: colour("--c1"), width: 1.4, dash: "dot", shape: "hv" } }),
  ], () => ({}));

  const drawRewards = () => draw("reward", [
    band("low (estimated)", "low", "--c5", {}),
    band("high (estimated)", "high", "--c5", { fill: "tonexty", fillcolor: colour("--band") }),
    band("mid (estimated)", "mid", "--c5", { line: { color: colour("--c5"), width: 2.4, shape: "hv" } }),
  ], () => ({}));

  const drawMarkouts = () => draw("markout", [{
    type: "bar", x: data.markouts.map((row) => row[0]), y: data.markouts.map((row) => row[2]),
    marker: { color: data.markouts.map((row) => colour(row[2] < 0 ? "--loss" : "--gain")) }, width: 0.55,
    text: data.markouts.map((row) => (row[2] < 0 ? "−" : "+") + Math.abs(row[2]).toFixed(2)), textposition: "outside", cliponaxis: false,
    customdata: data.markouts.map((row) => row[1]), hovertemplate: "%{y:.2f} ¢ a share, %{customdata} fills<extra></extra>",
  }], (axis) => ({
    hovermode: "closest", margin: { l: 12, r: 12, t: 22, b: 34 },
    xaxis: Object.assign({ type: "category" }, axis),
    yaxis: Object.assign({ title: { text: "¢ a share" }, zeroline: true, nticks: 6 }, axis, { zerolinecolor: colour("--quiet") }),
  }));

  const segments = (name, rows, tint) => {
    const x = [], y = [];
    for (const [start, end, price] of rows) {
      x.push(time(start), time(end), null);
      y.push(price / 1e4, price / 1e4, null);
    }
    return { type: "scatter", mode: "lines", name, x, y, line: { color: colour(tint), width: 2.4 }, hoverinfo: "skip" };
  };
  const FLAGS = { quote: "", hedge: ", hedge", flatten: ", flatten" };
  const dots = (name, rows, tint, symbol, size) => ({
    type: "scatter", mode: "markers", name, x: rows.map((row) => time(row[0])), y: rows.map((row) => row[1] / 1e4),
    marker: { color: colour(tint), symbol, size, line: { color: colour("--panel"), width: 1 } },
    text: rows.map((row) => `${data.fills_word ? data.fills_word + ": " : ""}${row[4] === "BUY" ? "bought" : "sold"} ${row[3] / 1e6} ${row[5]} at ${usd(row[6] / 1e4)}, order ${row[7]}, ${row[8]}${FLAGS[row[9]] || ""}`),
    hovertemplate: "%{text}",
  });
  // One price scale for what we did: a one-sided book's far end is not worth flattening the rest for.
  const priceRange = (market) => {
    const both = market.mids.bid.map((bid, i) => [bid, market.mids.ask[i]]).filter(([bid, ask]) => bid !== null && ask !== null);
    const all = both.flat();
    for (const side of ["bids", "asks", "exits"]) for (const row of market.quotes[side]) all.push(row[2]);
    for (const row of market.fills.rows) all.push(row[1]);
    if (!all.length) return undefined;
    const low = all.reduce((a, b) => Math.min(a, b)), high = all.reduce((a, b) => Math.max(a, b));
    const room = Math.max(20, (high - low) * 0.04);
    return [Math.max(0, low - room) / 1e4, Math.min(1e4, high + room) / 1e4];
  };
  // What had no price is marked on the lower edge.
  const crosses = (rows, floor) => ({
    type: "scatter", mode: "markers", name: "refused", x: rows.map((row) => time(row[0])),
    y: rows.map((row) => (row[1] === null ? floor : Math.max(floor, row[1] / 1e4))),
    marker: { color: colour("--loss"), symbol: "x-thin", size: 6, opacity: 0.75, line: { color: colour("--loss"), width: 1.2 } },
    text: rows.map((row) => `${row[4] > 1 ? row[4] + " × " : ""}${row[2] ? "bid" : "ask"} refused, ${row[3]}`),
    hovertemplate: "%{text}<extra></extra>", visible: byId("show-refused").checked ? true : "legendonly",
  });
  const timeRange = (market) => {
    const all = [...market.mids.t, ...market.quotes.bids.map((row) => row[1]), ...market.quotes.asks.map((row) => row[1])];
    if (!all.length) return [time(0), time(Math.max(1000, data.end_ms))];
    const first = all.reduce((a, b) => Math.min(a, b)), last = all.reduce((a, b) => Math.max(a, b));
    const room = Math.max(500, (last - first) * 0.01);
    return [time(first - room), time(last + room)];
  };
  const drawMarket = () => {
    const market = data.markets[Number(byId("which").value || 0)];
    if (!market) { nothing("book", "No market was traded."); return; }
    const x = times(market.mids.t), bid = scaled(market.mids.bid, 1e4), ask = scaled(market.mids.ask, 1e4);
    const mid = bid.map((value, i) => (value === null || ask[i] === null ? null : (value + ask[i]) / 2));
    const size = market.fills.rows.length > 100 ? 8 : 11;
    const touch = { color: colour("--mid"), width: 0.8, shape: "hv" };
    const quoted = market.fills.rows.filter((row) => row[9] === "quote"), exited = market.fills.rows.filter((row) => row[9] !== "quote");
    const range = priceRange(market);
    const held = market.held.yes.map((value, i) => (value - market.held.no[i]) / 1e6);
    draw("book", [
      { type: "scatter", mode: "lines", name: "best bid", x, y: bid, line: touch, showlegend: false, hovertemplate: "%{y:$.4f}" },
      { type: "scatter", mode: "lines", name: "touch", x, y: ask, line: touch, fill: "tonexty", fillcolor: colour("--touch"), hovertemplate: "ask %{y:$.4f}" },
      { type: "scatter", mode: "lines", name: "mid", x, y: mid, line: { color: colour("--mid"), width: 1.5, shape: "hv" }, hovertemplate: "%{y:$.4f}" },
      segments("our bids", market.quotes.bids, "--bid"),
      segments("our asks", market.quotes.asks, "--ask"),
      Object.assign(segments("our exits", market.quotes.exits, "--exit"), { visible: market.quotes.exits.length ? true : "legendonly", showlegend: market.quotes.exits.length > 0 }),
      crosses(market.refusals.rows, range ? range[0] : 0),
      dots(word("bid filled"), quoted.filter((row) => row[2] === 1), "--bid", "triangle-up", size),
      dots(word("ask filled"), quoted.filter((row) => row[2] === 0), "--ask", "triangle-down", size),
      Object.assign(dots(word("exit filled"), exited, "--exit", "diamond", size), { showlegend: exited.length > 0 }),
      { type: "scatter", mode: "lines", name: word("net shares"), x: times(market.held.t), y: held, yaxis: "y2",
        line: { color: colour("--c3"), width: 1.8, shape: "hv" }, fill: "tozeroy", fillcolor: colour("--touch"), hovertemplate: "%{y:,.2f} shares" },
    ], (axis) => ({
      hovermode: "x unified",
      xaxis: Object.assign({ type: "date", range: timeRange(market), anchor: "y2", nticks: narrow() ? 4 : 9 }, axis),
      yaxis: Object.assign({ tickformat: "$,.4~f", domain: [0.27, 1], range, title: { text: "price of YES" }, nticks: 8 }, axis, { zeroline: false }),
      yaxis2: Object.assign({ domain: [0, 0.2], title: { text: "YES less NO" }, nticks: 4 }, axis, { zeroline: true }),
    }));
    const notes = [`YES is “${market.names[0]}”, NO is “${market.names[1]}”. A bid for NO at p is shown as the ask for YES at 1 − p that it is. ${narrow() ? "" : "Drag to zoom, double-click to see all. "}Crosses are refusals; those without a price stand on the lower edge.`];
    if (market.quotes.left_out) notes.push(`${market.quotes.left_out} earlier quotes are left out of this chart.`);
    if (market.refusals.left_out) notes.push(`${market.refusals.left_out} later refusals are left out of this chart.`);
    if (market.fills.left_out) notes.push(`${market.fills.left_out} earlier fills are left out of this chart.`);
    byId("book-note").textContent = notes.join(" ");
  };

  const fillSelector = () => {
    const select = byId("which");
    data.markets.forEach((market, index) => {
      const option = document.createElement("option");
      option.value = String(index);
      const fills = market.fills.rows.length + market.fills.left_out;
      option.textContent = `${market.question} · ${market.slug} · ${fills}${data.fills_word ? " " + data.fills_word : ""} fills`;
      select.append(option);
    });
    select.addEventListener("change", drawMarket);
    document.querySelectorAll("a[data-market]").forEach((link) => link.addEventListener("click", () => {
      const index = data.markets.findIndex((market) => market.no === Number(link.dataset.market));
      if (index >= 0) { select.value = String(index); drawMarket(); }
    }));
  };

  // The orders table: sorted by a click on a head, narrowed by text, shown in portions.
  const fixed = (scale, digits) => (value) => (value === null ? "—" : (value / scale).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: 6 }));
  const plain = (value) => value;
  const heads = [
    ["No", plain, true], ["Placed (UTC)", (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " "), false],
    ["Market", (no) => data.slugs[no], false], ["Side", plain, false], ["Token", plain, false],
    ["Price", fixed(1e4, 2), true], ["Size", fixed(1e6, 0), true], ["Filled", fixed(1e6, 0), true, data.fills_word],
    ["Avg fill", fixed(1, 2), true, data.fills_word], ["State", plain, false], ["Purpose", plain, false], ["Basis", plain, false], ["Pulled for", plain, false],
  ];
  const view = { sort: 0, down: true, text: "", most: 25 };
  const found = data.orders.rows.map((row) => ({ row, text: heads.map(([, show], i) => show(row[i])).join(" ").toLowerCase() }));
  const drawOrders = () => {
    const words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
    const purpose = byId("purpose").value, filled = byId("filled").checked;
    const fits = ({ row, text }) => (!purpose || row[10] === purpose) && (!filled || row[7] > 0) && words.every((part) => text.includes(part));
    const rows = found.filter(fits).map((each) => each.row);
    const key = view.sort === 2 ? (row) => data.slugs[row[2]] : (row) => row[view.sort];
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === y) return a[0] - b[0];
      if (x === null || y === null) return x === null ? 1 : -1;
      return (x < y ? -1 : 1) * (view.down ? -1 : 1);
    });
    const body = document.createDocumentFragment();
    for (const row of rows.slice(0, view.most)) {
      const line = document.createElement("tr");
      heads.forEach(([, show, number], i) => {
        const cell = document.createElement("td");
        cell.textContent = show(row[i]);
        if (number) cell.className = "num";
        if (i === 3) cell.className = row[i] === "BUY" ? "BUY" : "SELL";
        line.append(cell);
      });
      body.append(line);
    }
    byId("orders").tBodies[0].replaceChildren(body);
    byId("orders").hidden = !data.orders.total;
    if (!data.orders.total) { byId("orders-note").textContent = "No order was placed."; byId("more").hidden = true; return; }
    const shown = Math.min(view.most, rows.length);
    const left = data.orders.left_out ? `; ${data.orders.left_out.toLocaleString("en-US")} older ones without a fill are left out, run.sqlite has all` : "";
    byId("orders-note").textContent = `${shown.toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")} shown, ${data.orders.total.toLocaleString("en-US")} in all${left}`;
    byId("more").hidden = shown >= rows.length;
  };
  const fillPurposes = () => {
    for (const name of new Set(data.orders.rows.map((row) => row[10]))) {
      const option = document.createElement("option");
      option.value = option.textContent = name;
      byId("purpose").append(option);
    }
  };
  const drawHeads = () => {
    const line = document.createElement("tr");
    heads.forEach(([name, , number, kind], i) => {
      const head = document.createElement("th");
      if (number) head.className = "num";
      if (i === view.sort) head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        view.down = view.sort === i ? !view.down : false;
        view.sort = i;
        drawHeads();
        drawOrders();
      });
      head.append(button);
      if (kind) {
        const tag = document.createElement("span");
        tag.className = `tag ${kind}`;
        tag.textContent = kind;
        head.append(document.createElement("br"), tag);
      }
      line.append(head);
    });
    byId("orders").tHead.replaceChildren(line);
  };

  const drawCharts = () => {
    if (!window.Plotly) return;
    drawEquity();
    drawRewards();
    drawExposure();
    drawMarkouts();
    drawMarket();
  };
  // The chart library is packed into the page; nothing is fetched.
  const unpack = async () => {
    const packed = Uint8Array.from(atob(byId("plotly").textContent), (letter) => letter.charCodeAt(0));
    const plain = new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
    const script = document.createElement("script");
    script.textContent = await plain.text();
    document.head.append(script);
  };
  const start = async () => {
    if (!data.equity.t.length) for (const id of ["equity", "exposure"]) nothing(id, "No account was sampled.");
    if (!data.rewards.t.length) byId("reward").remove();
    if (!data.markouts.length) byId("markout").remove();
    if (!data.markets.length) nothing("book", "No market was traded.");
    try {
      await unpack();
    } catch (error) {
      document.querySelectorAll(".chart").forEach((chart) => nothing(chart.id, "This browser is too old to unpack the charts; the tables are complete."));
    }
    drawCharts();
    document.documentElement.dataset.drawn = "yes";
  };
  fillSelector();
  fillPurposes();
  drawHeads();
  drawOrders();
  byId("search").addEventListener("input", (event) => { view.text = event.target.value; view.most = 25; drawOrders(); });
  for (const id of ["purpose", "filled"]) byId(id).addEventListener("change", () => { view.most = 25; drawOrders(); });
  byId("show-refused").addEventListener("change", drawCharts);
  byId("more").addEventListener("click", () => { view.most += 250; drawOrders(); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
  // Paper is light, whatever the screen is.
  window.addEventListener("beforeprint", () => { document.documentElement.classList.add("print"); drawCharts(); });
  window.addEventListener("afterprint", () => { document.documentElement.classList.remove("print"); drawCharts(); });
  start();
})();
