// What scrolls sideways can be scrolled with the keyboard. The theme wraps tables after the page has loaded.
(() => {
  const update = () => {
    for (const part of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) {
      if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    }
  };
  new MutationObserver(update).observe(document.querySelector(".md-content"), { childList: true, subtree: true });
  for (const event of ["load", "resize"]) addEventListener(event, update);
  update();
})();
