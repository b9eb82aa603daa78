"""`tapestry bench card`: whether everything works on this computer's graphics card."""
