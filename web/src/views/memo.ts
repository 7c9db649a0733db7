// Draws a view again only when `same` says that its properties differ. (Preact has this only in its larger compatibility part.)
import { Component, createElement, type ComponentType } from 'preact';

export function memo<P extends object>(view: ComponentType<P>, same: (a: P, b: P) => boolean): ComponentType<P> {
  return class Memo extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return !same(this.props as P, next);
    }
    render() {
      return createElement(view, this.props as P);
    }
  };
}
