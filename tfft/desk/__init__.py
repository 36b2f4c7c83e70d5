"""The desk: a page of this machine to look at photos, mend their labels and train again."""
