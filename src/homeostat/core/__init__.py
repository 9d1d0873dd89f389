"""The ground floor: ids, clock, errors, settings, records, verbs, events, database, blobs, leases.

It knows nothing of machine learning, and imports nothing of Homeostat but itself.
"""
