"""What the console and the gRPC API have in common: where their answers come from, and how they are made.

`sources` is what there is to tell of, and who says what a caller may see. `shared` keeps the overview and the plan for
both, `pace` makes answers without holding up the extender, `following` hands decisions to those who follow them, and
`search` finds words in names.
"""
