"""Teachers and students: where they come from, what identifies them, how they are loaded."""
