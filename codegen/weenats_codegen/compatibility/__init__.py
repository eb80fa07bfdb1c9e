"""Whom the change of a contract breaks, and a document that proves it.

`compare` takes two versions of a contract. What is not about schemas it compares member by member
(`operations`, `events`, `errors`, `keys`, `versions`). For schemas, `messages` knows the direction
in which messages go, `reasons` finds one document for each reason, and `containment` decides
whether one schema allows all that another allows: by the search in `solve`, in terms of `formula`
and `regular`, and by documents drawn at random. `rules` lists everything that may be found.
"""
