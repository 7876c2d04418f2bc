"""`page` holds the status page: style, script and markup, which `render` puts together, and its `server`.

`showing` starts and ends it, and the other ways to show a job, around a run. `shared` is one page of several jobs.
"""
