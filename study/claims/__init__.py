"""Every claim of the paper that the tiny model can be asked about, tried on this machine.

    python -m study.claims                                # all of it: hours on two cores; after any stop it goes on
    python -m study.claims parts=easy/grpo,easy/group_16  # some of it, and what that needs
    python -m study.claims folder=runs/mine plan=mine.yaml   # a study of your own

The plan (study/claims/claims.yaml) has the parts, each a sweep of train.py or evaluate.py over the seeds, and the
claims, each a comparison of two parts. A comparison is paired by seed; the difference has a 95 % interval (Student's t
over seeds), and from it the claim a verdict: seen, not seen, cannot tell (study/claims/verdicts.py). The result is
`claims.md` and `claims.json` in the folder; notebooks/claims draws it.
"""
