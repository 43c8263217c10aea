/** The classic script: one global, `glyphFast`. */
import { GlyphError, connect } from "./index.js";

(globalThis as any).glyphFast = { connect, GlyphError };
