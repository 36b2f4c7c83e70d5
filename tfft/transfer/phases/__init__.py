"""How a phase is trained: by gradient steps or by the solver, and what feeds it."""
