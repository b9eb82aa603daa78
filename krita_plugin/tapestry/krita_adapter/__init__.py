"""Krita itself: documents, layers, menus and views behind the port of `document.canvas`."""
