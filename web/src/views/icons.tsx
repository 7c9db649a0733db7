// The few signs that the page uses, drawn in the text's colour. Each stands beside words or inside a named button, so none has a name of its own.
const PATHS = {
  mark: 'M8 20V9.5A4.5 4.5 0 0 1 12.500 5H18M8 12.500h7',
  play: 'M7 5.500v13l11-6.500z',
  stop: 'M6 6h12v12H6z',
  send: 'M12 19V5M6 11l6-6 6 6',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  check: 'M5 12.500l4.500 4.500L19 7.500',
  retry: 'M19 12a7 7 0 1 1-2.200-5.100M19 4v4h-4',
  edit: 'M5 19h4L19 9l-4-4L5 15zM13 7l4 4',
  down: 'M12 5v14M6 13l6 6 6-6',
  plus: 'M12 5v14M5 12h14',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400',
  moon: 'M20 14.500A8.500 8.500 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500',
  auto: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16',
  close: 'M6 6l12 12M18 6L6 18',
  sliders: 'M4 8h9M17 8h3M4 16h3M11 16h9M13 6v4M9 14v4',
  search: 'M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13M15.500 15.500L20 20',
};

const FILLED = new Set(['play', 'stop']);

export function Icon({ name, size = 18 }: { name: keyof typeof PATHS; size?: number }) {
  const filled = FILLED.has(name);
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false" fill={filled ? 'currentColor' : 'none'}
      stroke={filled ? 'none' : 'currentColor'} stroke-width="1.900" stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}
