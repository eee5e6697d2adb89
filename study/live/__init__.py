"""Runs and scores as pages: served while a run goes on (`python -m study.live runs/`), or written into one file
(`python -m study.html_report runs/NAME`).

    folders.py   which runs and scores there are, and their metrics, followed as they grow
    tables.py    rollouts: rows, groups, filters, a problem through the steps
    text.py      what a model wrote, as text: visible, highlighted, compared
    charts.py    curves as inline SVG
    pages.py     the pages, from templates/
    server.py    the pages over HTTP

Only files are read that a run or an evaluation writes anyway; nothing is written, and nobody is asked.
"""
