"""The order router: decisions become protected positions; never sent twice, never without a stop.

Its heart is pure: `ids` names orders, `plan` turns a decision into the orders of its bracket. What touches a venue, a
database or a clock stands around that.
"""
