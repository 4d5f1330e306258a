"""What is declared once: the parameters of the nodes, and the form in which their topics are."""
