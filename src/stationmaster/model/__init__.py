"""What the system knows: frozen values, states and the pure rules over them. Imports none of the other packages."""
