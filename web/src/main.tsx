// The console: starts what lives as long as the page, then draws it.
import './style/tokens.css';
import './style/base.css';
import './style/models.css';
import './style/running.css';
import './style/traffic.css';
import './style/chat.css';
import './style/machines.css';
import './style/sheet.css';
import { render } from 'preact';
import { startSession } from './api/session.ts';
import { startConversation } from './chat/conversation.ts';
import { startLive } from './live.ts';
import { startRouting } from './route.ts';
import { startTheme } from './theme.ts';
import { App } from './views/app.tsx';

startTheme();
startConversation();
await startSession();
startRouting();
startLive();
render(<App />, document.getElementById('app') as HTMLElement);
