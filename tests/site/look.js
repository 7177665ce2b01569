// What the tests ask of a page; given to it by visits.py.
window.look = {
  // Texts that no reader should see: what MathJax has not turned into a formula.
  rawTex() {
    const raw = /\\[a-zA-Z(\[]|\$[^\s$][^$]*\$/;
    const texts = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { data, parentElement } = walker.currentNode;
      const code = "code, pre, script, style, textarea, mjx-container";
      if (!parentElement.closest(code)) texts.push(data.trim());
    }
    const failed = [...document.querySelectorAll("mjx-merror")].map((e) => e.textContent);
    return texts.filter((text) => raw.test(text)).concat(failed);
  },

  overflows() {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth;
  },

  height: () => document.documentElement.scrollHeight,

  // Seconds until the largest contentful paint.
  paint: () =>
    new Promise((done) =>
      new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime / 1000)).observe({
        type: "largest-contentful-paint",
        buffered: true,
      }),
    ),

  // Contrast is slow to judge, and a page has few kinds of text: one element stands for each set
  // of colour, size and weight over the same backgrounds.
  kindsOfText() {
    const kinds = new Map();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
      const own = getComputedStyle(element);
      const kind = [own.color, own.fontSize, own.fontWeight, own.textShadow];
      for (let e = element; e; e = e.parentElement) {
        const { backgroundColor, backgroundImage, opacity } = getComputedStyle(e);
        const layer = [backgroundColor, backgroundImage, opacity].join();
        if (layer !== "rgba(0, 0, 0, 0),none,1") kind.push(layer);
      }
      if (!kinds.has(kind.join(";"))) kinds.set(kind.join(";"), element);
    }
    return [...kinds.values()];
  },

  // What axe-core finds against its rules, and what it cannot tell.
  async found(where, which) {
    const { violations, incomplete } = await axe.run(where, {
      preload: false,
      resultTypes: ["violations", "incomplete"],
      ...which,
    });
    return [violations, incomplete];
  },

  // What it calls serious or critical.
  grave: (violations) =>
    violations
      .filter(({ impact }) => ["serious", "critical"].includes(impact))
      .flatMap(({ id, nodes }) =>
        nodes.map((n) => `${id}: ${n.html.slice(0, 120)}: ${n.failureSummary.slice(0, 300)}`),
      ),

  // All rules but that of contrast, and those whose findings `grave` would drop. A link in a text
  // passes by its style or, slow to judge, by its colour: looked at where some style does not do.
  async structure() {
    const mild = axe._audit.rules.filter(({ impact }) => ["minor", "moderate"].includes(impact));
    const ids = ["color-contrast", ...mild.map(({ id }) => id)];
    const rules = Object.fromEntries(ids.map((id) => [id, { enabled: false }]));
    const id = "link-in-text-block";
    axe.configure({ rules: [{ id, any: ["link-in-text-block-style"] }] });
    const [quick, unclear] = await look.found(document, { rules });
    axe.reset();
    if (![...quick, ...unclear].some((rule) => rule.id === id)) return look.grave(quick);
    const others = quick.filter((rule) => rule.id !== id);
    const [links] = await look.found(document, { runOnly: [id] });
    return look.grave([...others, ...links]);
  },

  async contrast() {
    const [faint] = await look.found(look.kindsOfText(), { runOnly: ["color-contrast"] });
    return look.grave(faint);
  },
};
